import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { hostedToolsBound, NO_TOOLS, USUAL_TOOL_CALLS } from '../../src/accounting/hosted-tools.ts';
import type { JsonObject } from '../../src/core/json.ts';

const CENT = 1e7;
const tools = (...types: readonly string[]): JsonObject => ({ tools: types.map((type) => ({ type })) });

describe('A13 what hosted tools may add', () => {
  test.each<[string, JsonObject, number, number]>([
    ['a search, five times', tools('web_search'), 40_000, 5 * CENT],
    ['a dated name', tools('web_search_preview_2025_03_11'), 40_000, 12.5 * CENT],
    ['searches of a chat request', { web_search_options: {} }, 40_000, 12.5 * CENT],
    ['one container, however often it is used', tools('code_interpreter'), 10_000, 3 * CENT],
    ['a large container', { tools: [{ type: 'code_interpreter', container: { type: 'auto', memory_limit: '64g' } }] }, 10_000, 192 * CENT],
    ['pictures', tools('image_generation'), 10_000, 125 * CENT],
    ['servers of others, each of them', tools('mcp', 'mcp'), 80_000, 0],
    ['a computer', tools('computer'), 10_000, 0],
    ['as many calls as the request allows', { ...tools('web_search'), max_tool_calls: 2 }, 16_000, 2 * CENT],
    ['more calls than usual where it asks for them', { ...tools('web_search', 'computer'), max_tool_calls: 50 }, 400_000, 50 * CENT],
    ['tools declared in the input', { input: [{ type: 'additional_tools', ...tools('web_search') }] }, 40_000, 5 * CENT],
    ['nothing for functions', tools('function', 'custom', 'local_shell'), 0, 0],
    ['nothing without tools', { tools: null, input: 'x' }, 0, 0],
    ['nothing where no call is allowed', { ...tools('web_search'), max_tool_calls: 0 }, 0, 0],
  ])('%s', (_what, body, input, fees) => {
    expect(hostedToolsBound(body)).toEqual({ input, fees });
  });

  test('stays a whole number that is not negative, whatever is asked', () => {
    const types = fc.constantFrom('web_search', 'code_interpreter', 'image_generation', 'mcp', 'computer', 'file_search', 'function');
    fc.assert(
      fc.property(fc.array(types, { maxLength: 8 }), fc.option(fc.double({ noNaN: true }), { nil: undefined }), (kinds, most) => {
        const { input, fees } = hostedToolsBound({ ...tools(...kinds), ...(most !== undefined && { max_tool_calls: most }) });
        expect([input, fees].every((amount) => Number.isSafeInteger(amount) && amount >= 0)).toBe(true);
      }),
    );
  });

  test('another tool never makes it less, and none is none', () => {
    expect(hostedToolsBound({})).toBe(NO_TOOLS);
    expect(hostedToolsBound(tools('web_search', 'mcp')).input).toBe(USUAL_TOOL_CALLS * 16_000);
  });
});
