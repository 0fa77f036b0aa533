// `npm run bench:smoke`: every scenario of the bench, tiny, and whether each did what it is said to do. Never a time.
import assert from 'node:assert/strict';

import { waitFor } from '../test/support/wait-for.ts';
import type { Scenario } from './scenario.ts';
import type { ScenarioSet } from './scenarios.ts';
import { scenariosAt, TINY } from './scenarios.ts';
import type { Between, Measured, Stage } from './stage.ts';
import { measure, openStage } from './stage.ts';

const set: ScenarioSet = scenariosAt(TINY);
const stage = await openStage({ scenarios: Object.values(set), accountsPerUpstream: 2 });
try {
  for (const scenario of Object.values(set)) {
    if (scenario.answer.kind === 'hold') await checkHeld(stage, scenario);
    else for (const between of placesFor(scenario)) check(scenario, between, await measure(stage, scenario, between, { wantsLateness: true }));
  }
  await checkJournal(stage);
  await checkProbe(stage);
  process.stdout.write(`bench: ${Object.keys(set).length} scenarios work; the journal has all ${stage.sentToRelay()} requests\n`);
} finally {
  await stage.close();
}

/** A translation has no yardstick but the splice: the pass-through would need the upstream to speak the client's wire. */
function placesFor({ client, upstream }: Scenario): readonly Between[] {
  const isSplice = client === (upstream === 'codex' ? 'responses' : upstream);
  return isSplice ? ['nothing', 'pass-through', 'relay'] : ['relay'];
}

function check(scenario: Scenario, between: Between, { load, cpuUs }: Measured): void {
  const where = `${scenario.name} through ${between}`;
  assert.deepEqual(load.statuses, { 200: scenario.requests }, `${where}: every answer is a 200`);
  assert.deepEqual(load.broken, {}, `${where}: no answer breaks off`);
  assert.equal(load.totalMs.length, scenario.requests, `${where}: every request is timed`);
  const events = scenario.answer.kind === 'stream' ? scenario.answer.events * scenario.requests : 0;
  assert.equal(load.deltas, events, `${where}: every delta arrives once`);
  assert.equal(load.ttftMs.length, events > 0 ? scenario.requests : 0, `${where}: every stream's first word is timed`);
  assert.equal(load.latenessMs.length, events, `${where}: every delta says when it was sent`);
  assert.ok(load.latenessMs.every((ms) => ms >= 0 && ms < 60_000), `${where}: no delta arrives before it was sent`);
  assert.ok(between === 'nothing' || cpuUs > 0, `${where}: its CPU is told`);
}

async function checkHeld({ generator, upstream, targetOf }: Stage, scenario: Scenario): Promise<void> {
  for (const between of ['pass-through', 'relay'] as const) {
    const { connections: before } = await upstream.ask('served', null);
    const { open } = await generator.ask('hold', { scenario, target: targetOf(scenario, between) });
    assert.equal(open, scenario.requests, `${between} holds every stream open`);
    await generator.ask('letGo', null);
    await waitFor(async () => (await upstream.ask('served', null)).connections <= before, `${between} lets the upstream go with its clients`);
  }
}

/** Every request through Relay has its closing line, with the account that served it, its tokens and its cost. */
async function checkJournal({ home, sentToRelay }: Stage): Promise<void> {
  const lines = await waitFor(async () => {
    const read = await home.journal();
    return read.length === sentToRelay() && read;
  }, 'a closing line for each request');
  for (const { outcome, account, tokens, cost, model } of lines) {
    assert.ok(account, 'a line names its account');
    if (model.asked?.endsWith('-hold')) {
      assert.equal(outcome, 'client_closed');
      continue;
    }
    assert.equal(outcome, 'ok');
    assert.equal(tokens?.input, 1_200);
    assert.ok(cost.list > 0, `a line has its price: ${JSON.stringify({ model, cost })}`);
  }
  const verified = await home.run(['ledger', 'verify', '--json']);
  assert.equal(verified.code, 0, `the ledger verifies: ${verified.stdout}${verified.stderr}`);
}

async function checkProbe({ relay }: Stage): Promise<void> {
  const usage = await relay.ask('usage', { collect: true });
  assert.ok(usage.cpuUs > 0 && usage.rss > 0 && usage.heapUsed > 0 && usage.descriptors > 0, 'the probe tells what the daemon uses');
}
