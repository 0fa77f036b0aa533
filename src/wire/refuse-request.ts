import { RelayError } from '../core/errors.ts';
import type { JsonObject, JsonValue } from '../core/json.ts';
import { isJsonObject } from '../core/json.ts';

/** Says 400 for a member that must be there. Never returns. */
export function refuseMissing(param: string): never {
  throw new RelayError('missing_required_parameter', `Missing required parameter: '${param}'.`, { param });
}

/** Says 400 for a member of the wrong JSON type. Never returns. */
export function refuseType(param: string, wanted: string): never {
  throw new RelayError('invalid_type', `Invalid type for '${param}': expected ${wanted}.`, { param });
}

/** Says 400 for a value whose loss would make the answer wrong. Never returns. */
export function refuseValue(param: string, why: string): never {
  throw new RelayError('unsupported_value', `Unsupported value for '${param}': ${why}`, { param });
}

/** Says 400 for a parameter whose loss would make the answer wrong. Never returns. */
export function refuseParameter(param: string, why: string): never {
  throw new RelayError('unsupported_parameter', `Unsupported parameter: '${param}'. ${why}`, { param });
}

/** Says 400 for content the upstream cannot be given. Never returns. */
export function refuseContent(param: string, type: string): never {
  throw new RelayError('unsupported_content_type', `Content of type '${type}' at '${param}' is not supported by the upstream `
    + 'that serves this model.', { param });
}

/** Says 400 for a request that contradicts itself. Never returns. */
export function refuseRequest(param: string, message: string): never {
  throw new RelayError('invalid_request_error', message, { param });
}

/** The member as an object; refuses any other type, and its absence. */
export function requireObject(value: JsonValue | undefined, param: string): JsonObject {
  if (value === undefined || value === null) refuseMissing(param);
  if (!isJsonObject(value)) refuseType(param, 'an object');
  return value;
}

/** The member as a list; refuses any other type, and its absence. */
export function requireArray(value: JsonValue | undefined, param: string): readonly JsonValue[] {
  if (value === undefined || value === null) refuseMissing(param);
  if (!Array.isArray(value)) refuseType(param, 'an array');
  return value;
}

/** The member as a string that says something; refuses any other type, and its absence. */
export function requireString(value: JsonValue | undefined, param: string): string {
  if (value === undefined || value === null || value === '') refuseMissing(param);
  if (typeof value !== 'string') refuseType(param, 'a string');
  return value;
}

/** Says 400 for a tool without which the answer would be wrong. Never returns. */
export function refuseTool(param: string, type: string): never {
  throw new RelayError('unsupported_tool', `A tool of type '${type.slice(0, 64)}' cannot be run by the upstream that serves this model.`, {
    param,
  });
}
