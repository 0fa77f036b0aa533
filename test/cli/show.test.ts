import { describe, expect, test } from 'vitest';

import { findRequest, runShow } from '../../src/cli/show.ts';
import { testContext } from '../support/command-context.ts';
import { failedOverRequest, failedRequest, finishedRequest, NOW } from '../support/tui-fixture.ts';
import { memoryUsageData } from '../support/usage-data.ts';

const RECORDS = [failedRequest(), failedOverRequest(), finishedRequest()];

async function show(id: string, json: boolean, columns?: number): Promise<string> {
  const context = testContext(NOW, columns === undefined ? {} : { columns });
  await runShow(id, json ? { json } : {}, context, memoryUsageData(RECORDS));
  return context.written.stdout;
}

describe('relay show', () => {
  test('tells everything about a request', async () => {
    const text = await show('req_01k9ab00feed42', false, 100);
    for (const fact of [
      'usage limit reached',
      'passed over: cooldown until 15:22:11',
      '12,400',
      '$0.0142',
      '864ms',
      'up_7788',
      'logit_bias, seed',
    ])
      expect(text).toContain(fact);
    expect(text).not.toContain('\x1b');
  });

  test('in a pipe no line is cut', async () => {
    expect(await show('req_01k9ab00feed42', false)).not.toContain('…');
  });

  test('--json is the closing line itself', async () => {
    expect(JSON.parse(await show('req_01k9ab00feed42', true))).toEqual(failedOverRequest());
  });
});

describe('which request is meant', () => {
  const data = memoryUsageData(RECORDS);

  test.each([
    ['the whole id', 'req_01k9ac0badc0de', failedRequest().id], ['its end', '00feed42', failedOverRequest().id],
    ['its beginning', 'req_01k9aa', finishedRequest().id], ['the last', 'last', failedRequest().id],
  ])('%s', async (_, id, found) => {
    expect((await findRequest(id, data)).id).toBe(found);
  });

  test.each([
    ['nothing like it', 'req_zzzz', 'no finished request "req_zzzz" in the ledger'],
    ['too little to tell', '42', 'no finished request "42"'],
    ['a part of several', 'req_01k9', 'is part of several ids: req_01k9ac0badc0de, req_01k9ab00feed42'],
    ['hostile text', 'a\x1b[2Jb\nc', 'no finished request "ab c"'],
  ])('%s is refused', async (_, id, message) => {
    await expect(findRequest(id, data)).rejects.toMatchObject({
      name: 'CommandError',
      exitCode: 1,
      message: expect.stringContaining(message),
    });
  });

  test('the last of an empty ledger', async () => {
    await expect(findRequest('last', memoryUsageData([]))).rejects.toThrow('no request has finished yet');
  });
});
