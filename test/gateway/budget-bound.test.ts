import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { expect, test } from 'vitest';

import type { BudgetView } from '../../src/control/control.ts';
import type { Budget } from '../../src/core/client.ts';
import { isJsonObject, numberAt, objectAt, parseJsonObject, stringAt } from '../../src/core/json.ts';
import type { CloseRecord } from '../../src/core/record.ts';
import type { Gate, MockStep } from '../../src/mock/steps.ts';
import { createGate, ok } from '../../src/mock/steps.ts';
import { checkBudgets } from '../support/check-budgets.ts';
import { seededRandom } from '../support/seeded-random.ts';
import type { Answer, ServedRelay } from '../support/serve-in-process.ts';
import { KEY_MODEL, responses, serveInProcess, TWO_PLATFORM_KEYS } from '../support/serve-in-process.ts';
import { waitFor } from '../support/wait-for.ts';

const AT_ONCE = 200;
/** A dollar a million tokens of input, two of output: 1,000 and 2,000 nano-dollars a token. */
const PRICE = { input: 1, output: 2 };

/** What each request held, in tokens, by its id: the journal's opening lines. */
async function heldById(relay: ServedRelay): Promise<ReadonlyMap<string, { readonly input: number; readonly output: number }>> {
  const folder = join(relay.home, 'ledger', 'journal');
  const texts = await Promise.all((await readdir(folder)).map((name) => readFile(join(folder, name), 'utf8')));
  const lines = texts.join('').split('\n').map((text) => parseJsonObject(text)).filter(isJsonObject);
  return new Map(lines.filter((line) => line['k'] === 'open').map((line) => {
    const reserved = objectAt(line, 'reserved');
    return [stringAt(line, 'id') ?? '', { input: numberAt(reserved, 'input') ?? 0, output: numberAt(reserved, 'output') ?? 0 }];
  }));
}

const BUDGETS: readonly { readonly budget: Budget; readonly held: (tokens: { input: number; output: number }) => number; readonly used: (record: CloseRecord) => number }[] = [
  {
    budget: { unit: 'tokens', limit: 40_000, window: 'month' },
    held: ({ input, output }) => input + output,
    used: ({ tokens }) => (tokens?.input ?? 0) + (tokens?.output ?? 0),
  },
  {
    budget: { unit: 'usd', limit: 80e6, window: 'month' },
    held: ({ input, output }) => input * 1_000 + output * 2_000,
    used: ({ cost }) => cost.list,
  },
];
const CASES = BUDGETS.flatMap((each) => [1, 2].map((seed) => ({ ...each, unit: each.budget.unit, seed })));

test.each(CASES)('A05 two hundred at once, wave after wave, never hold or overspend more than fits: $unit ($seed)', async ({ budget, held, used, seed }) => {
  const random = seededRandom(seed);
  const upTo = (least: number, most: number): number => least + Math.floor(random.next() * (most - least));
  const relay = await serveInProcess({
    accounts: TWO_PLATFORM_KEYS,
    config: { pricing: { [KEY_MODEL]: PRICE }, routing: { accountConcurrency: AT_ONCE }, limits: { queue: AT_ONCE } },
  });
  const key = await relay.client('many', { budgets: [budget], concurrency: AT_ONCE });
  const standing = async (): Promise<BudgetView> => {
    const [found] = await relay.daemon.control.call('budgets.list', {});
    if (found === undefined) throw new Error('there is no budget');
    return found;
  };
  let waves = 0;
  let wave = createGate();
  // What a wave leaves over serves the next one, and is held up with it.
  const gate: Gate = { get opened() { return wave.opened; }, release: () => wave.release() };
  while ((await standing()).left > 0) {
    waves += 1;
    expect(waves).toBeLessThan(60);
    const before = await standing();
    const closedBefore = new Set((await relay.journal()).map(({ id }) => id));
    const sentBefore = relay.sent().length;
    wave = createGate();
    // Some use less than they held, some more.
    const step = (): MockStep => ok({ gate, usage: { input_tokens: upTo(5, 60), output_tokens: upTo(50, 1_500), total_tokens: 0 } });
    for (const name of ['a', 'b']) relay.upstream.script(name, Array.from({ length: AT_ONCE }, step));
    const refused: Answer[] = [];
    const all = Array.from({ length: AT_ONCE }, async () => {
      const answer = await relay.ask('/v1/responses', { key, body: { ...responses('Say hi', { max_output_tokens: upTo(200, 2_000) }), model: KEY_MODEL } });
      if (answer.status === 429) refused.push(answer);
      return answer;
    });
    await waitFor(() => relay.sent().length - sentBefore + refused.length === AT_ONCE, 'each to run or to be refused');
    const full = await standing();
    const running = relay.sent().length - sentBefore;
    expect(running).toBeGreaterThan(0);
    expect(full.spent).toBe(before.spent);
    expect(full.reserved).toBeLessThanOrEqual(budget.limit - before.spent);
    expect(refused.every(({ error }) => error?.['code'] === 'budget_exceeded')).toBe(true);
    const opened = await waitFor(async () => {
      const holds = await heldById(relay);
      return holds.size === sentBefore + running ? holds : undefined;
    }, 'the opening lines');
    gate.release();
    const answers = await Promise.all(all);
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(running);
    await relay.idle();
    const ended = (await relay.journal()).filter(({ id, outcome }) => !closedBefore.has(id) && outcome === 'ok');
    expect(ended).toHaveLength(running);
    const holds = ended.map(({ id }) => held(opened.get(id) ?? { input: 0, output: 0 }));
    // One alone may have the rest, which is less than it asked to hold.
    if (running > 1) expect(holds.reduce((sum, each) => sum + each, 0)).toBe(full.reserved);
    const beyond = ended.reduce((sum, record, index) => sum + Math.max(0, used(record) - Math.min(holds[index] ?? 0, full.reserved)), 0);
    const after = await standing();
    expect(after.spent).toBe(before.spent + ended.reduce((sum, record) => sum + used(record), 0));
    expect(after.spent - budget.limit).toBeLessThanOrEqual(beyond);
  }
  expect(waves).toBeGreaterThan(1);
  expect(relay.sent().length).toBeGreaterThan(20);
  await checkBudgets(relay);
}, 60_000);
