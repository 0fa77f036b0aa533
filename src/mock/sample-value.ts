import { arrayAt, isJsonObject, numberAt, objectAt, stringAt } from '../core/json.ts';
import type { JsonObject, JsonValue } from '../core/json.ts';

/** Deeper than this a schema gets its shortest value, so that a recursive one ends. */
const DEEPEST = 12;

/** The smallest believable value for a JSON Schema, with strings taken from what the user said where a name suggests it. */
export function sampleValue(schema: JsonObject, userText = ''): JsonValue {
  return sample(schema, { root: schema, userText, name: '', depth: 0 });
}

interface Place {
  readonly root: JsonObject;
  readonly userText: string;
  /** The property the value is for. */
  readonly name: string;
  readonly depth: number;
}

function sample(schema: JsonValue | undefined, place: Place): JsonValue {
  if (!isJsonObject(schema)) return sampleString({}, place);
  if (schema['const'] !== undefined) return schema['const'];
  const given = [
    ...(arrayAt(schema, 'enum') ?? []),
    ...(schema['default'] === undefined ? [] : [schema['default']]),
    ...(arrayAt(schema, 'examples') ?? []),
  ];
  if (given[0] !== undefined) return given[0];
  const deeper = { ...place, depth: place.depth + 1 };
  const reference = stringAt(schema, '$ref');
  if (reference !== undefined) return place.depth > DEEPEST ? null : sample(resolveReference(place.root, reference), deeper);
  const variants = arrayAt(schema, 'anyOf') ?? arrayAt(schema, 'oneOf');
  if (variants !== undefined) return sample(shortest(variants, place.depth), deeper);
  const parts = arrayAt(schema, 'allOf');
  if (parts !== undefined) return sample(merged(parts, schema), deeper);
  return sampleOfType(schema, place);
}

function sampleOfType(schema: JsonObject, place: Place): JsonValue {
  switch (typeOf(schema, place.depth)) {
    case 'object':
      return sampleObject(schema, place);
    case 'array':
      return sampleArray(schema, place);
    case 'integer':
    case 'number':
      return sampleNumber(schema);
    case 'boolean':
      return true;
    case 'null':
      return null;
    default:
      return sampleString(schema, place);
  }
}

function typeOf(schema: JsonObject, depth: number): string {
  const type = schema['type'];
  if (typeof type === 'string') return type;
  if (Array.isArray(type))
    return type.includes('null') && depth > DEEPEST ? 'null' : String(type.find((name) => name !== 'null') ?? 'null');
  if (isJsonObject(schema['properties'])) return 'object';
  return schema['items'] === undefined ? 'string' : 'array';
}

function sampleObject(schema: JsonObject, place: Place): JsonObject {
  const properties = objectAt(schema, 'properties') ?? {};
  const required = (arrayAt(schema, 'required') ?? []).filter((name) => typeof name === 'string');
  return Object.fromEntries(required.map((name) => [name, sample(properties[name], { ...place, name, depth: place.depth + 1 })]));
}

function sampleArray(schema: JsonObject, place: Place): JsonValue[] {
  const wanted = numberAt(schema, 'minItems') ?? (place.depth > DEEPEST ? 0 : 1);
  const count = Math.min(wanted, numberAt(schema, 'maxItems') ?? wanted, 100);
  const prefix = arrayAt(schema, 'prefixItems') ?? [];
  return Array.from({ length: count }, (_, index) => sample(prefix[index] ?? schema['items'], { ...place, depth: place.depth + 1 }));
}

function sampleNumber(schema: JsonObject): number {
  const above = numberAt(schema, 'exclusiveMinimum');
  const least = numberAt(schema, 'minimum') ?? (above === undefined ? undefined : above + 1);
  const most = numberAt(schema, 'maximum');
  const wanted = least ?? (most === undefined ? 1 : Math.min(1, most));
  const step = numberAt(schema, 'multipleOf');
  return step === undefined || step <= 0 ? wanted : Math.ceil(wanted / step) * step;
}

const FORMATS: Readonly<Record<string, string>> = {
  date: '2026-11-21', 'date-time': '2026-11-21T12:00:00Z', time: '12:00:00Z', email: 'ada@example.com', uri: 'https://example.com/',
  uuid: '00000000-0000-4000-8000-000000000000', ipv4: '192.0.2.1', ipv6: '2001:db8::1', hostname: 'example.com', duration: 'PT1M',
};

function sampleString(schema: JsonObject, place: Place): string {
  const formatted = FORMATS[stringAt(schema, 'format') ?? ''];
  if (formatted !== undefined) return formatted;
  const text = suggestedText(place);
  const least = numberAt(schema, 'minLength') ?? 0;
  return text.padEnd(Math.min(least, 10_000), '.').slice(0, numberAt(schema, 'maxLength') ?? Number.POSITIVE_INFINITY);
}

/** What a property's name asks for, out of what the user said. Commands only ever print. */
function suggestedText({ name, userText }: Place): string {
  if (/cmd|command|script/i.test(name)) return 'echo relay';
  if (/city|location|place|country|region|town|destination/i.test(name)) return properNoun(userText) ?? 'Paris';
  if (/path|file|dir|folder|cwd/i.test(name)) return /dir|folder|cwd/i.test(name) ? '.' : 'README.md';
  if (/url|uri|link/i.test(name)) return 'https://example.com/';
  if (/query|question|text|prompt|message|input|search|pattern|topic|term|result|summary|answer/i.test(name))
    return userText.slice(0, 200) || 'relay';
  return properNoun(userText) ?? 'relay';
}

/** A name in the text: what follows "in", "for" or "of" before any other capitalized word. */
function properNoun(text: string): string | null {
  const after = /\b(?:in|at|for|of|to)\s+((?:\p{Lu}[\p{L}'-]*)(?:\s+\p{Lu}[\p{L}'-]*)*)/u.exec(text);
  const anywhere = /(?<=\S\s)(\p{Lu}\p{Ll}[\p{L}'-]*)/u.exec(text);
  return after?.[1] ?? anywhere?.[1] ?? null;
}

function resolveReference(root: JsonObject, reference: string): JsonValue | undefined {
  if (!reference.startsWith('#')) return {};
  return reference.split('/').slice(1).reduce<JsonValue | undefined>(
    (value, key) => (isJsonObject(value) ? value[key.replaceAll('~1', '/').replaceAll('~0', '~')] : undefined),
    root,
  );
}

/** The variant to take: the first that is not null, or null once the schema has gone deep. */
function shortest(variants: readonly JsonValue[], depth: number): JsonValue | undefined {
  const nothing = variants.find((variant) => stringAt(variant, 'type') === 'null');
  if (nothing !== undefined && depth > DEEPEST) return nothing;
  return variants.find((variant) => stringAt(variant, 'type') !== 'null') ?? nothing;
}

function merged(parts: readonly JsonValue[], schema: JsonObject): JsonObject {
  const { allOf: _allOf, ...rest } = schema;
  return [...parts.filter(isJsonObject), rest].reduce<JsonObject>((sum, part) => ({
    ...sum, ...part,
    properties: { ...objectAt(sum, 'properties'), ...objectAt(part, 'properties') },
    required: [...(arrayAt(sum, 'required') ?? []), ...(arrayAt(part, 'required') ?? [])],
  }), {});
}
