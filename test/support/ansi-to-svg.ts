import { readFileSync } from 'node:fs';

/** Reads a terminal's screen with its colours from stdin (`tmux capture-pane -e -p`) and writes it as SVG to stdout. */
const CELL = { width: 8.4, height: 18 };
const COLOURS: Readonly<Record<number, string>> = {
  30: '#484f58', 31: '#ff7b72', 32: '#7ee787', 33: '#e3b341', 34: '#79c0ff', 35: '#d2a8ff', 36: '#76e3ea', 37: '#c9d1d9', 90: '#8b949e',
};

interface Style {
  readonly colour: string;
  readonly bold: boolean;
  readonly dim: boolean;
  readonly inverse: boolean;
}
const PLAIN: Style = { colour: '#c9d1d9', bold: false, dim: false, inverse: false };

function restyle(style: Style, codes: readonly number[]): Style {
  return codes.reduce((now, code): Style => {
    if (code === 0) return PLAIN;
    if (code === 1) return { ...now, bold: true };
    if (code === 2) return { ...now, dim: true };
    if (code === 7) return { ...now, inverse: true };
    if (code === 22) return { ...now, bold: false, dim: false };
    if (code === 27) return { ...now, inverse: false };
    if (code === 39) return { ...now, colour: PLAIN.colour };
    return COLOURS[code] === undefined ? now : { ...now, colour: COLOURS[code] };
  }, style);
}

function escapeXml(text: string): string {
  return text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');
}

function drawRow(row: string, line: number): { readonly svg: string; readonly width: number } {
  let style = PLAIN;
  let column = 0;
  let svg = '';
  // oxlint-disable-next-line no-control-regex
  for (const part of row.split(/(\x1b\[[\d;]*m)/)) {
    // oxlint-disable-next-line no-control-regex
    const codes = /^\x1b\[([\d;]*)m$/.exec(part);
    if (codes) {
      style = restyle(style, (codes[1] ?? '').split(';').map(Number));
      continue;
    }
    const cells = [...part].length;
    if (part.trim() !== '' || style.inverse) {
      const x = (column * CELL.width + 16).toFixed(1);
      const width = (cells * CELL.width).toFixed(1);
      const y = line * CELL.height + 28;
      if (style.inverse) svg += `<rect x="${x}" y="${y - 14}" width="${width}" height="${CELL.height}" fill="${style.colour}"/>`;
      const fill = style.inverse ? '#0d1117' : style.colour;
      svg += `<text x="${x}" y="${y}" fill="${fill}"${style.bold ? ' font-weight="bold"' : ''}${style.dim ? ' opacity="0.6"' : ''} textLength="${width}" xml:space="preserve">${escapeXml(part)}</text>`;
    }
    column += cells;
  }
  return { svg, width: column };
}

const rows = readFileSync(0, 'utf8').replace(/\n+$/, '').split('\n').map(drawRow);
const width = Math.ceil(Math.max(...rows.map((row) => row.width)) * CELL.width + 32);
const height = rows.length * CELL.height + 32;
process.stdout.write(
  `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" aria-label="relay usage">`
  + `<rect width="100%" height="100%" rx="8" fill="#0d1117"/><g font-family="ui-monospace, Menlo, Consolas, monospace" font-size="14">${rows.map(({ svg }) => svg).join('')}</g></svg>\n`,
);
