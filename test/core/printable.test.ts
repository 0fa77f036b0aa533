import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { displayWidth, fit, printable, truncate, wrapWords } from '../../src/core/printable.ts';

describe('text from outside is made safe for a terminal', () => {
  test.each([
    ['plain text stays', 'gpt-6-luna v2', 'gpt-6-luna v2'],
    ['other scripts stay', 'größe 模型 модель', 'größe 模型 модель'],
    ['colours go', 'a\x1b[31mred\x1b[0m', 'ared'],
    ['a clear screen goes', '\x1b[2J\x1b[Hgone', 'gone'],
    ['a window title goes', '\x1b]0;owned\x07name', 'name'],
    ['a hyperlink keeps its text', '\x1b]8;;http://evil\x1b\\click\x1b]8;;\x1b\\', 'click'],
    ['a clipboard write goes', '\x1b]52;c;AAAA\x07x', 'x'],
    ['C1 spellings go', '\x9b31mred\x9d0;t\x9c!', 'red!'],
    ['an unfinished sequence loses its teeth', '\x1b]0;half', '0;half'],
    ['a device string goes', '\x1bPq#0\x1b\\sixel', 'sixel'],
    ['lines become one', 'one\r\ntwo\tthree\u2028four', 'one two three four'],
    ['direction overrides go', 'safe\u202egnp.exe\u2066x\u2069', 'safegnp.exex'],
    ['zero-width characters go', 'a\u200bb\u200dc\ufeffd', 'abcd'],
    ['tag characters go', 'a\u{e0041}\u{e007f}b', 'ab'],
    ['blank letters go', 'a\u3164b\uffa0', 'ab'],
    ['bells and backspaces go', 'a\x07\x08b\x7f', 'ab'],
    ['a lone surrogate is replaced', 'a\ud800b', 'a\ufffdb'],
    ['marks stack at most two high', `z${'\u0301'.repeat(50)}`, 'z\u0301\u0301'],
  ])('%s', (_, hostile, safe) => {
    expect(printable(hostile)).toBe(safe);
  });

  test('no control, format or line character survives, whatever comes', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 80 }), (text) => {
      const safe = printable(text);
      // oxlint-disable-next-line no-control-regex
      expect(safe).not.toMatch(/[\p{Cc}\p{Cf}\u2028\u2029]/u);
      expect(safe.isWellFormed()).toBe(true);
      expect(printable(safe)).toBe(safe);
    }));
  });

  test('a megabyte of unfinished sequences takes no noticeable time', () => {
    const started = performance.now();
    printable('\x1b]'.repeat(500_000));
    expect(performance.now() - started).toBeLessThan(2_000);
  });
});

describe('widths in cells', () => {
  test.each([['abc', 3], ['模型', 4], ['e\u0301', 1], ['🚀', 2], ['한글', 4], ['…', 1], ['', 0]])('%j takes %i', (text, width) => {
    expect(displayWidth(text)).toBe(width);
  });

  test('the marks of the screen take one cell each', () => {
    expect(displayWidth('●◐○⊘✕◔‖▌━─▁█…–→größe')).toBe('●◐○⊘✕◔‖▌━─▁█…–→größe'.length);
  });

  test('what takes the short way has nothing wide or stacked in it', () => {
    for (let code = 0x20; code < 0x2800; code += 1) {
      const letter = String.fromCodePoint(code);
      if (/\p{Emoji_Presentation}|\p{M}/u.test(letter) && printable(letter) === letter) expect([code, displayWidth(letter)]).not.toEqual([code, 1]);
    }
  });

  test('fit gives exactly the width asked for', () => {
    fc.assert(fc.property(fc.string({ unit: 'grapheme', maxLength: 30 }), fc.integer({ min: 1, max: 20 }), (text, width) => {
      expect(displayWidth(fit(printable(text), width))).toBe(width);
      expect(displayWidth(fit(printable(text), width, 'right'))).toBe(width);
    }));
  });

  test('a cut is told', () => {
    expect(truncate('gpt-6-luna', 6)).toBe('gpt-6…');
    expect(truncate('模型模型', 4)).toBe('模…');
    expect(truncate('abc', 0)).toBe('');
  });

  test('words wrap between words, and long ones anywhere', () => {
    expect(wrapWords('the account needs a new sign-in', 12)).toEqual(['the account', 'needs a new', 'sign-in']);
    expect(wrapWords('abcdefghij', 4)).toEqual(['abcd', 'efgh', 'ij']);
  });
});
