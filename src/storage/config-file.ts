import { readFile, realpath, stat } from 'node:fs/promises';

import { DEFAULT_CONFIG, parseConfig } from '../core/config.ts';
import type { Config, ConfigFault } from '../core/config.ts';
import { CommandError, EXIT } from '../core/errors.ts';
import { isJsonObject } from '../core/json.ts';
import type { JsonValue } from '../core/json.ts';
import { errorCode, errorText } from './error-code.ts';
import { homePaths } from './home.ts';
import { JsonSyntaxError, nodeAt, offsetOf, parseJsonNode, placeOf } from './json-position.ts';
import type { JsonNode, TextPlace } from './json-position.ts';
import { replaceFile } from './json-document.ts';

/** One thing wrong with `config.json`, where it stands, and in words. */
export interface PlacedFault extends TextPlace {
  /** Dotted, as `relay config get` takes it; empty for the file as a whole. */
  readonly path: string;
  readonly message: string;
}

/** Settings as read, or everything that is wrong with them. */
export type ConfigReading =
  | { readonly ok: true; readonly config: Config; readonly text: string }
  | { readonly ok: false; readonly faults: readonly [PlacedFault, ...PlacedFault[]]; readonly text: string };

/** Reads settings from a text. Nothing is thrown. An empty text is a fault; an absent file is not (see {@link readConfig}). */
export function readConfigText(text: string): ConfigReading {
  try {
    const root = parseJsonNode(text);
    const parsed = parseConfig(root.value);
    if (parsed.ok) return { ok: true, config: parsed.config, text };
    const [first, ...more] = parsed.faults.map((fault) => placeFault(text, root, fault));
    return { ok: false, faults: [first ?? { line: 1, column: 1, path: '', message: 'the settings are not valid' }, ...more], text };
  } catch (error) {
    if (!(error instanceof JsonSyntaxError)) throw error;
    return { ok: false, faults: [{ ...placeOf(text, error.offset), path: '', message: error.message }], text };
  }
}

/** zod names unknown keys in the message and the object in the path; the first of those keys is what a person looks for. */
function placeFault(text: string, root: JsonNode, fault: ConfigFault): PlacedFault {
  const unknown = /^Unrecognized keys?: "((?:[^"\\]|\\.)*)"/.exec(fault.message)?.[1];
  const path = unknown === undefined ? fault.path : [...fault.path, unknown];
  const message = unknown === undefined ? fault.message : 'there is no such setting';
  return { ...placeOf(text, offsetOf(root, path)), path: formatConfigPath(path), message };
}

/**
 * Reads `config.json` without throwing on what is in it; absent, it is every default. Rejects with a CommandError (78) when
 * it cannot be read.
 */
export async function readConfig(home: string): Promise<ConfigReading> {
  const text = await readConfigFile(home);
  return text === null ? { ok: true, config: DEFAULT_CONFIG, text: '' } : readConfigText(text);
}

/** The settings in force. Throws a CommandError (78) that names file, line and column of the first fault; the file is left as it is. */
export async function loadConfig(home: string): Promise<Config> {
  const reading = await readConfig(home);
  if (reading.ok) return reading.config;
  throw new CommandError(EXIT.configuration, describeFaults(home, reading.faults));
}

/** Every fault in a line of its own, as compilers say it: `…/config.json:12:5 server.port: …`. */
export function describeFaults(home: string, faults: readonly PlacedFault[]): string {
  const file = homePaths(home).config;
  const lines = faults.map(({ line, column, path, message }) => {
    const what = path === '' ? message : `${path}: ${message}`;
    return `${file}:${line}:${column} ${what}`;
  });
  return lines.join('\n');
}

async function readConfigFile(home: string): Promise<string | null> {
  const path = homePaths(home).config;
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return null;
    throw new CommandError(EXIT.configuration, `cannot read ${path}: ${errorText(error)}`);
  }
}

/** Splits a dotted path; a part that has dots in it stands in double quotes: `models.aliases."gpt-6.1"`. Throws a CommandError (2). */
export function parseConfigPath(text: string): readonly string[] {
  const part = /(?:"([^"]*)"|([^."]+))(?:\.(?=.)|$)/y;
  const path: string[] = [];
  while (part.lastIndex < text.length) {
    const found = part.exec(text);
    if (!found) break;
    path.push(found[1] ?? found[2] ?? '');
    if (part.lastIndex === text.length) return path;
  }
  throw new CommandError(EXIT.usage, `"${text}" is not the path of a setting; write it like server.port or models.aliases."gpt-6.1"`);
}

function formatConfigPath(path: readonly string[]): string {
  return path.map((part) => (part.includes('.') ? `"${part}"` : part)).join('.');
}

/** The value in force at a path, defaults included. Throws a CommandError (1) when there is none. */
export function getConfigValue(config: Config, path: string): unknown {
  let value: unknown = config;
  for (const step of parseConfigPath(path)) {
    const isThere = typeof value === 'object' && value !== null && Object.hasOwn(value, step);
    if (!isThere) throw new CommandError(EXIT.failed, `${path} is not set; relay config schema lists every setting`);
    value = Reflect.get(Object(value), step);
  }
  return value;
}

/** A setting as a person types it: JSON where it is JSON, else the text itself. */
export function readConfigArgument(text: string): JsonValue {
  try {
    const value: JsonValue = JSON.parse(text);
    return value;
  } catch {
    return text;
  }
}

/**
 * Sets one value in `config.json`, leaving the rest of the text as its author wrote it, and gives back the settings then in force.
 * Throws a CommandError: 2 when the value does not fit, 78 when the file is not valid to begin with, 73 when it cannot be written.
 */
export async function setConfigValue(home: string, path: string, value: JsonValue): Promise<Config> {
  const steps = parseConfigPath(path);
  const text = (await readConfigFile(home)) ?? '{}\n';
  const before = readConfigText(text);
  if (!before.ok) throw new CommandError(EXIT.configuration, describeFaults(home, before.faults));
  const edited = editJson(text, steps, value);
  const after = readConfigText(edited);
  if (!after.ok) throw new CommandError(EXIT.usage, after.faults.map((fault) => `${fault.path || path}: ${fault.message}`).join('\n'));
  const file = homePaths(home).config;
  try {
    // Dotfiles are often links into a repository: the file behind the link is what is edited.
    const target = await realpath(file).catch(() => file);
    await replaceFile(target, edited, (await stat(target).catch(() => null))?.mode ?? 0o600);
  } catch (error) {
    throw new CommandError(EXIT.cannotWrite, `cannot write ${file}: ${errorText(error)}`);
  }
  return after.config;
}

/** Replaces or inserts one value in a JSON text; everything else stays byte for byte. */
function editJson(text: string, path: readonly string[], value: JsonValue): string {
  const root = parseJsonNode(text);
  const existing = nodeAt(root, path);
  const indent = /\n([ \t]+)"/.exec(text)?.[1] ?? '  ';
  if (existing) return text.slice(0, existing.start) + printValue(value, indent, path.length) + text.slice(existing.end);
  let depth = path.length - 1;
  while (depth > 0 && !nodeAt(root, path.slice(0, depth))) depth -= 1;
  const parent = nodeAt(root, path.slice(0, depth));
  const missing = path.slice(depth);
  const [key = '', ...below] = missing;
  const inner = below.reduceRight<JsonValue>((nested, step) => ({ [step]: nested }), value);
  if (!parent?.members || !isJsonObject(parent.value)) {
    const holder = formatConfigPath(path.slice(0, depth));
    throw new CommandError(EXIT.usage, `${holder} holds a value, so it has no ${formatConfigPath(missing)}`);
  }
  const entry = `\n${indent.repeat(depth + 1)}${JSON.stringify(key)}: ${printValue(inner, indent, depth + 1)}`;
  const last = parent.members.at(-1);
  if (last) return `${text.slice(0, last.node.end)},${entry}${text.slice(last.node.end)}`;
  return `${text.slice(0, parent.start)}{${entry}\n${indent.repeat(depth)}}${text.slice(parent.end)}`;
}

function printValue(value: JsonValue, indent: string, depth: number): string {
  return JSON.stringify(value, null, indent).replaceAll('\n', `\n${indent.repeat(depth)}`);
}
