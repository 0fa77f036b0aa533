import { describe, expect, test } from 'vitest';

import { displayWidth } from '../../src/core/printable.ts';
import { explainRequest } from '../../src/tui/explain-request.ts';
import type { FinishedRequest } from '../../src/tui/source.ts';
import { textOf } from '../../src/tui/spans.ts';
import { failedOverRequest, failedRequest, finishedRequest } from '../support/tui-fixture.ts';

const explained = (record: FinishedRequest, width = 90): string =>
  explainRequest(record, { timeZone: 'UTC', width })
    .map((line) => textOf(line).trimEnd())
    .join('\n');

describe('a request is explained', () => {
  test('from asking to journal, when it failed over', () => {
    expect(explained(failedOverRequest())).toMatchInlineSnapshot(`
      "req_01k9ab00feed42  ● 200 ok                                           2026-11-24 14:02:07
        Client        opencode  member ana  project site  env prod
        Endpoint      responses, streamed
        Model         fast  →  sent gpt-6-luna  →  ran gpt-6-luna-2026-09-01
        Account       personal  chatgpt
        Tier          asked auto, served default
        Dropped       logit_bias, seed

      Attempts
        #  ACCOUNT   PROVIDER  MODEL           AT   TOOK  STATUS  RESULT
        1  work      chatgpt   gpt-6-luna    +0ms  210ms     429  usage limit reached  while wa…
        2  personal  chatgpt   gpt-6-luna  +214ms   4.0s     200  served

      Route
        balanced, the conversation moved to another account
        ACCOUNT   SCORE  DECISION
        personal   0.81  served  headroom 0.62 · load 0.88 · speed 0.74
        spare      0.40  could have served
        work          –  passed over: cooldown until 15:22:11
        and 2 more

      Tokens
        input               12,400
          cached            10,240  83%
        output               1,204
          reasoning            320  27%

      Cost
        list price         $0.0142  gpt-6-luna, openai.com 2026-11-02
        paid                 $0.00
        saved              $0.0142

      Time
        queued                12ms
        first output         864ms
        in all                4.2s  361 tokens/s

      Journal
        line          4,712  0123456789abcdef0123456789abcdef
        upstream id   up_7788"
    `);
  });

  test('why it failed, what was tried, and that nothing is known of tokens', () => {
    expect(explained(failedRequest())).toMatchInlineSnapshot(`
      "req_01k9ac0badc0de  ✕ 503 failed                                       2026-11-24 14:02:08
        Error         overloaded: every account that serves gpt-6-sol refused; try again in a
                      minute
        Client        zed
        Endpoint      responses, streamed
        Model         gpt-6-sol
        Account       none could serve

      Attempts
        #  ACCOUNT  PROVIDER  MODEL        AT   TOOK  STATUS  RESULT
        1  work     chatgpt   gpt-6-sol  +0ms  390ms     529  server is overloaded  while waiti…

      Tokens
        the upstream told none: unmetered, not zero

      Time
        first output             –
        in all               402ms

      Journal
        line          4,713  0123456789abcdef0123456789abcdef"
    `);
  });

  test('an account that was tried first and failed is told from one that was not needed', () => {
    const record = failedOverRequest();
    const text = explained({
      ...record,
      route: record.route && { ...record.route, why: [{ account: 'work', score: 0.9 }, ...record.route.why.slice(0, 2)] },
    });
    expect(text).toMatch(/work +0\.90 +tried, and failed/);
    expect(text).toMatch(/spare +0\.40 +could have served/);
  });

  test('an estimate says it is one', () => {
    const { tokens } = finishedRequest();
    expect(explained(finishedRequest({ tokens: tokens && { ...tokens, estimated: true } }))).toContain('estimated from what passed');
  });

  test('a model without a price says how to give it one', () => {
    expect(explained(finishedRequest({ cost: { list: 0, charged: 0, price: null } }))).toContain('no price is known for this model');
  });

  test('one that Relay refused called no account', () => {
    const text = explained(
      finishedRequest({
        outcome: 'refused',
        status: 403,
        attempts: [],
        account: null,
        provider: null,
        tokens: null,
        error: { code: 'insufficient_scope', message: 'this key may not use embeddings' },
      }),
    );
    expect(text).toContain('⊘ 403 refused by Relay');
    expect(text).toContain('none: no account was called');
    expect(text).toContain('insufficient_scope: this key may not use embeddings');
  });

  test.each([60, 80, 120, 200])('within %i columns', (width) => {
    for (const line of explained(failedOverRequest(), width).split('\n')) expect(displayWidth(line)).toBeLessThanOrEqual(width);
  });

  test('a long error is broken between words, and none of it is lost', () => {
    const message = 'the quick brown fox '.repeat(20).trim();
    const text = explained(finishedRequest({ outcome: 'failed', status: 502, error: { code: 'upstream_error', message } }), 80);
    expect(text.replace(/\s+/g, ' ')).toContain(message);
  });
});
