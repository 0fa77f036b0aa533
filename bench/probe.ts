// Loaded into every measured process, the daemon included, before its own code: it answers for what the process uses.
import { readdirSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import type { ProbeQuestions } from './child.ts';
import { serveParent } from './child.ts';

function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('gc');
  if (typeof collect === 'function') for (let turn = 0; turn < 3; turn++) collect();
}

function countDescriptors(): number {
  try {
    return readdirSync('/proc/self/fd').length;
  } catch {
    return 0;
  }
}

if (process.send) {
  serveParent<ProbeQuestions>({
    usage({ collect }) {
      if (collect) collectGarbage();
      const { user, system } = process.cpuUsage();
      const { rss, heapUsed, external } = process.memoryUsage();
      return { cpuUs: user + system, rss, heapUsed, external, descriptors: countDescriptors() };
    },
  });
  // The probe's own channel must not keep up a process that would end.
  process.channel?.unref();
}
