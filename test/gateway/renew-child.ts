import { readFileSync } from 'node:fs';

import type { Account } from '../../src/core/account.ts';
import { createSignIns } from '../../src/gateway/sign-in.ts';
import { createRefresh } from '../../src/io/oauth-tokens.ts';
import { systemClock } from '../../src/io/system-clock.ts';
import { createUpstream } from '../../src/io/upstream.ts';
import { createVaultStore } from '../../src/io/vault-file.ts';
import { processLock } from '../../src/storage/lock.ts';

/** A process of its own that finds its token refused and renews it, twenty-five callers at once; says which token each got. */
const [home = '', keyFile = '', authUrl = ''] = process.argv.slice(2);
const account = JSON.parse(readFileSync(`${home}/account.json`, 'utf8')) as Account;
const credentials = createVaultStore({ path: `${home}/vault.json`, environment: { RELAY_VAULT_KEYFILE: keyFile }, prompt: null });
const upstream = createUpstream({ useProxyEnv: false, clock: systemClock });
const signIns = createSignIns({
  clock: systemClock, credentials, lock: processLock(home, { clock: systemClock }),
  refresh: createRefresh({ send: upstream.send, clock: systemClock, version: '0.0.0-test', readExpiry: () => null }),
  log: { debug() {}, info() {}, warn() {}, error() {} },
});
const stale = await signIns.credential(account, authUrl);
if (!stale.ok) throw new Error(stale.failure.message);
process.stdout.write('ready\n');
// Everybody starts at one word, so that they meet.
await new Promise((resolve) => process.stdin.once('data', resolve));
const results = await Promise.all(Array.from({ length: 25 }, () => signIns.renew(account, authUrl, stale.credential)));
const tokens = results.map((result) => (result.ok && result.credential.kind === 'oauth' ? result.credential.accessToken : result.ok ? 'none' : result.failure.code));
process.stdout.write(`${JSON.stringify([...new Set(tokens)])}\n`);
await upstream.close();
process.exit(0);
