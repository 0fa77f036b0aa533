import type { Failure } from '../core/failure.ts';
import { arrayAt, isJsonObject, stringAt } from '../core/json.ts';
import type { ProviderAdapter, Refusal } from '../core/provider-adapter.ts';
import type { Wire } from '../core/provider-kind.ts';
import { bearer, callHeaders } from './call-headers.ts';
import { OPENAI_SHAPED } from './openai-shaped.ts';
import { errorOf, verdict } from './refusal.ts';

/** DeepSeek (api-docs.deepseek.com, read 2026-11). Its Responses endpoint is young: chat unless chosen otherwise. */
export const deepseek = {
  ...OPENAI_SHAPED,
  kind: 'deepseek',
  title: 'DeepSeek',
  defaultBaseUrl: 'https://api.deepseek.com',
  defaultWire: 'chat',
  wires: ['chat', 'responses'],
  defaultPriority: 20,
  billing: 'api',
  login: { kind: 'api-key', environmentVariable: 'DEEPSEEK_API_KEY' },
  dialect: (wire: Wire) => (wire === 'chat' ? 'deepseek' : 'openai'),
  usageCall: (context) => ({ path: '/user/balance', headers: callHeaders(context, bearer(context.credential)) }),
  parseBalance,
  judge,
} as const satisfies ProviderAdapter;

/** 402 says "Insufficient Balance" with the code `invalid_request_error`, which reads like the request's fault. */
function judge(refusal: Refusal): Failure | null {
  if (refusal.status !== 402) return null;
  const message = stringAt(errorOf(refusal), 'message') ?? 'Insufficient balance.';
  return verdict(refusal, 'account-refused', { code: 'insufficient_balance', message });
}

/** `GET /user/balance`: amounts are decimal strings, one entry a currency. Dollars first where there are several. */
function parseBalance(body: unknown): { readonly amount: number; readonly currency: string } | null {
  const balances = (arrayAt(body, 'balance_infos') ?? []).filter(isJsonObject).flatMap((entry) => {
    const amount = Number(stringAt(entry, 'total_balance') ?? Number.NaN);
    return Number.isFinite(amount) ? [{ amount: Math.round(amount * 1e9), currency: stringAt(entry, 'currency') ?? 'USD' }] : [];
  });
  return balances.find(({ currency }) => currency === 'USD') ?? balances[0] ?? null;
}
