import { readdir, readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';

/** Where a text was found. */
export interface Trace {
  readonly where: string;
  /** What it is called in the test. */
  readonly what: string;
  readonly as: string;
}

/** A text's spellings: as it is, and as encoders on the way might have written it. */
export function spellingsOf(text: string): readonly { readonly as: string; readonly bytes: Buffer }[] {
  const plain = Buffer.from(text);
  const spellings: { readonly as: string; readonly text: string }[] = [
    { as: 'plain', text }, { as: 'JSON', text: JSON.stringify(text).slice(1, -1) }, { as: 'ASCII JSON', text: asciiEscaped(text) },
    { as: 'URL', text: encodeURIComponent(text) }, { as: 'form', text: new URLSearchParams([['', text]]).toString().slice(1) }, { as: 'hex', text: plain.toString('hex') },
    // Inside a longer text base64 depends on where it begins: what is common to all is its middle at each of three offsets.
    ...[0, 1, 2].flatMap((offset) => (['base64', 'base64url'] as const).map((as) => ({
      as: `${as} at ${offset}`, text: Buffer.concat([Buffer.alloc(offset), plain]).toString(as).slice(offset === 0 ? 0 : 4, -4).replace(/=+$/, ''),
    }))),
  ];
  return spellings.map(({ as, text: spelled }) => ({ as, bytes: Buffer.from(spelled.toLowerCase()) }));
}

function asciiEscaped(text: string): string {
  return JSON.stringify(text).slice(1, -1).replace(/[^\x20-\x7e]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** Every trace of the texts in the haystacks, whatever their case. */
export function tracesIn(haystacks: ReadonlyMap<string, Buffer | string>, texts: Readonly<Record<string, string>>): readonly Trace[] {
  const traces: Trace[] = [];
  for (const [where, content] of haystacks) {
    const lower = Buffer.from((typeof content === 'string' ? content : content.toString('latin1')).toLowerCase(), typeof content === 'string' ? 'utf8' : 'latin1');
    for (const [what, text] of Object.entries(texts)) {
      for (const { as, bytes } of spellingsOf(text)) if (lower.includes(bytes)) traces.push({ where, what, as });
    }
  }
  return traces;
}

/** Every file under a folder, by its path in it. */
export async function filesUnder(folder: string): Promise<ReadonlyMap<string, Buffer>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return new Map(await Promise.all(files.map(async (file) => [relative(folder, file), await readFile(file)] as const)));
}
