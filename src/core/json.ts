/** JSON as it stands on the wire: parsed once at the edge, narrowed where it is read. */
export type JsonValue = string | number | boolean | null | JsonValue[] | JsonObject;
/** A JSON object whose members are not known yet. */
export interface JsonObject {
  [key: string]: JsonValue | undefined;
}

/** True for a plain JSON object; arrays and null are not objects. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The object behind a key, or undefined when it is absent or of another type. */
export function objectAt(value: unknown, key: string): JsonObject | undefined {
  const found = isJsonObject(value) ? value[key] : undefined;
  return isJsonObject(found) ? found : undefined;
}

/** The string behind a key, or undefined when it is absent or of another type. */
export function stringAt(value: unknown, key: string): string | undefined {
  const found = isJsonObject(value) ? value[key] : undefined;
  return typeof found === 'string' ? found : undefined;
}

/** The finite number behind a key, or undefined when it is absent or of another type. */
export function numberAt(value: unknown, key: string): number | undefined {
  const found = isJsonObject(value) ? value[key] : undefined;
  return typeof found === 'number' && Number.isFinite(found) ? found : undefined;
}

/** The array behind a key, or undefined when it is absent or of another type. */
export function arrayAt(value: unknown, key: string): JsonValue[] | undefined {
  const found = isJsonObject(value) ? value[key] : undefined;
  return Array.isArray(found) ? found : undefined;
}

/** Parses a JSON object; anything else, also a scalar or an array, is undefined. Never throws. */
export function parseJsonObject(text: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isJsonObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
