import { setFlagsFromString } from 'node:v8';

/**
 * Keeps V8's space for young objects small while the daemon is loaded. Hundreds of modules make it grow to 32 MB, which a
 * daemon at rest would hold for good; under load it grows again. V8 reads the flag at each growth (Node 22, V8 12.4).
 */
export function holdYoungSpace(): void {
  setFlagsFromString('--semi-space-growth-factor=1');
}

/** Lets it grow as requests need it. */
export function letYoungSpaceGrow(): void {
  setFlagsFromString('--semi-space-growth-factor=2');
}
