/**
 * Text from outside made safe for a terminal: one line, no escape sequences, no control or direction characters, no
 * invisible ones, marks stacked at most two high. What a person may read stays; the result is never longer.
 */
export function printable(text: string): string {
  if (PLAIN.test(text)) return text;
  return text
    .toWellFormed()
    .replace(ESCAPE_SEQUENCE, '')
    .replace(SPACE, ' ')
    .replace(INVISIBLE, '')
    .replace(STACKED_MARKS, '$1');
}

const PLAIN = /^[\x20-\x7e]*$/;
/** Strings (OSC, DCS, APC, PM, SOS) with their end, CSI, and two-character escapes, in 7-bit and C1 spelling. */
const ESCAPE_SEQUENCE = new RegExp([
  String.raw`(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)`,
  String.raw`(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]`,
  String.raw`\x1b[ -/]*[0-~]`,
].join('|'), 'g');
const SPACE = /[\t\n\v\f\r\u0085\p{Z}]+/gu;
/** Control, format (direction, joiners, tags), variation selectors and the letters that draw nothing. */
// oxlint-disable-next-line no-misleading-character-class
const INVISIBLE = /[\p{Cc}\p{Cf}\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\uffa0\ufe00-\ufe0f\u{e0000}-\u{e0fff}]/gu;
const STACKED_MARKS = /(\p{M}{2})\p{M}+/gu;

let segmenter: Intl.Segmenter | undefined;

/** Made when first needed: it takes 10 ms, and most commands and most text never need it. */
function graphemesOf(text: string): Intl.Segments {
  segmenter ??= new Intl.Segmenter('en', { granularity: 'grapheme' });
  return segmenter.segment(text);
}
/** Emoji, and the scripts that Unicode calls wide or fullwidth (East Asian Width W and F). */
const WIDE = new RegExp(`[${[
  String.raw`\p{Emoji_Presentation}\u1100-\u115f\u2329\u232a\u2e80-\u303e\u3041-\u33ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4cf`,
  String.raw`\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe10-\ufe19\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6`,
  String.raw`\u{1b000}-\u{1b2ff}\u{1f200}-\u{1f251}\u{20000}-\u{3fffd}`,
].join('')}]`, 'u');

/** What the screen itself is drawn with beside letters, and the letters of Western Europe: one cell each. */
const NARROW = /^[\x20-\x7e\u00a1-\u00ac\u00ae-\u02ff\u2010-\u2027\u2190-\u2193\u2298\u2500-\u25fc\u2715]*$/;

/** How many terminal cells {@link printable} text takes. */
export function displayWidth(text: string): number {
  if (NARROW.test(text)) return text.length;
  let width = 0;
  for (const { segment } of graphemesOf(text)) width += graphemeWidth(segment);
  return width;
}

function graphemeWidth(grapheme: string): number {
  if (WIDE.test(grapheme)) return 2;
  return /^\p{M}+$/u.test(grapheme) ? 0 : 1;
}

/** Cuts {@link printable} text to at most `width` cells; what was cut off is told by `…`. */
export function truncate(text: string, width: number): string {
  if (displayWidth(text) <= width) return text;
  if (width < 1) return '';
  let kept = '';
  let used = 0;
  for (const { segment } of graphemesOf(text)) {
    const next = graphemeWidth(segment);
    if (used + next > width - 1) break;
    kept += segment;
    used += next;
  }
  return `${kept}…`;
}

/** Cuts or pads {@link printable} text to exactly `width` cells. */
export function fit(text: string, width: number, align: 'left' | 'right' = 'left'): string {
  const cut = truncate(text, width);
  const padding = ' '.repeat(Math.max(0, width - displayWidth(cut)));
  return align === 'left' ? cut + padding : padding + cut;
}

/** Breaks {@link printable} text into lines of at most `width` cells, between words where it can. */
export function wrapWords(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    const longer = line === '' ? word : `${line} ${word}`;
    if (displayWidth(longer) <= width) {
      line = longer;
      continue;
    }
    if (line !== '') lines.push(line);
    const pieces = breakWord(word, Math.max(2, width));
    lines.push(...pieces.slice(0, -1));
    line = pieces.at(-1) ?? '';
  }
  return [...lines, line];
}

function breakWord(word: string, width: number): string[] {
  if (displayWidth(word) <= width) return [word];
  const pieces = [''];
  let used = 0;
  for (const { segment } of graphemesOf(word)) {
    const next = graphemeWidth(segment);
    if (used + next > width) {
      pieces.push('');
      used = 0;
    }
    pieces[pieces.length - 1] += segment;
    used += next;
  }
  return pieces;
}
