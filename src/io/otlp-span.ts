import { hash } from 'node:crypto';

import type { CloseRecord } from '../core/record.ts';

/** One span in OTLP's JSON form. */
export interface OtlpSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly name: string;
  /** 3: a client of another service. */
  readonly kind: 3;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: readonly OtlpAttribute[];
  /** 2: an error; 0: nothing said. */
  readonly status: { readonly code: 0 | 2 };
}

export interface OtlpAttribute {
  readonly key: string;
  readonly value: { readonly stringValue: string } | { readonly intValue: string } | { readonly doubleValue: number } | { readonly boolValue: boolean };
}

/** Names of providers as the GenAI conventions have them (read 2026-11); others go by Relay's own name. */
const PROVIDERS: Readonly<Record<string, string>> = { chatgpt: 'openai', openai: 'openai', azure: 'azure.ai.openai', gemini: 'gcp.gemini', deepseek: 'deepseek' };
const WENT_WELL: readonly string[] = ['ok', 'incomplete', 'client_closed'];

/**
 * A finished request as one span after OpenTelemetry's GenAI conventions: models, tokens, what went wrong by its code, and
 * Relay's own facts under `relay.`. No message, prompt or completion. The trace's id follows from the request's, so that
 * one leads to the other.
 */
export function toOtlpSpan(record: CloseRecord): OtlpSpan {
  const digest = hash('sha256', record.id, 'hex');
  const { model, tokens, cost, ms, tier } = record;
  const operation = record.endpoint === 'embeddings' ? 'embeddings' : 'chat';
  const sent = model.sent ?? model.asked;
  return {
    traceId: digest.slice(0, 32),
    spanId: digest.slice(32, 48),
    name: sent === null ? operation : `${operation} ${sent}`,
    kind: 3,
    startTimeUnixNano: nanoseconds(record.t - ms.total),
    endTimeUnixNano: nanoseconds(record.t),
    attributes: [
      ...text('gen_ai.operation.name', operation),
      ...text('gen_ai.provider.name', record.provider === null ? null : (PROVIDERS[record.provider] ?? record.provider)),
      ...text('gen_ai.request.model', sent),
      ...text('gen_ai.response.model', model.ran),
      ...count('gen_ai.usage.input_tokens', tokens?.input),
      ...count('gen_ai.usage.output_tokens', tokens?.output),
      ...count('gen_ai.usage.cache_read.input_tokens', tokens?.cached),
      ...count('gen_ai.usage.cache_creation.input_tokens', tokens?.cacheWrite),
      ...count('gen_ai.usage.reasoning.output_tokens', tokens?.reasoning),
      ...text('openai.request.service_tier', tier.asked),
      ...text('openai.response.service_tier', tier.served),
      ...text('error.type', WENT_WELL.includes(record.outcome) ? null : (record.error?.code ?? record.outcome)),
      ...count('http.response.status_code', record.status),
      ...text('relay.request.id', record.id),
      ...text('relay.client', record.client),
      ...text('relay.account', record.account),
      ...text('relay.endpoint', record.endpoint),
      ...text('relay.outcome', record.outcome),
      { key: 'relay.stream', value: { boolValue: record.stream } },
      ...count('relay.attempts', record.attempts.length + (record.attemptsMore ?? 0)),
      { key: 'relay.cost.list_usd', value: { doubleValue: cost.list / 1e9 } },
      { key: 'relay.cost.charged_usd', value: { doubleValue: cost.charged / 1e9 } },
      ...text('relay.price', cost.price),
      ...count('relay.queue_ms', ms.queue),
      ...count('relay.ttft_ms', ms.ttft ?? undefined),
      ...(tokens === null ? [] : [{ key: 'relay.tokens_estimated', value: { boolValue: tokens.estimated } }]),
    ],
    status: { code: WENT_WELL.includes(record.outcome) ? 0 : 2 },
  };
}

function text(key: string, value: string | null): readonly OtlpAttribute[] {
  return value === null ? [] : [{ key, value: { stringValue: value } }];
}

function count(key: string, value: number | undefined): readonly OtlpAttribute[] {
  return value === undefined ? [] : [{ key, value: { intValue: String(Math.round(value)) } }];
}

/** Milliseconds as the decimal text of nanoseconds, which no float holds exactly. */
function nanoseconds(ms: number): string {
  return `${Math.max(0, Math.round(ms))}000000`;
}
