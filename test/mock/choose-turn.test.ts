import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import type { JsonObject, JsonValue } from '../../src/core/json.ts';
import { chooseTurn, piecesOf } from '../../src/mock/choose-turn.ts';
import type { Turn } from '../../src/mock/choose-turn.ts';
import { sampleValue } from '../../src/mock/sample-value.ts';
import { readTask } from '../../src/mock/task.ts';
import { seededRandom } from '../support/seeded-random.ts';

function turnFor(body: JsonObject, wire: 'chat' | 'responses' = 'responses'): Turn {
  return chooseTurn(readTask({ model: 'relay-mini', ...body }, wire), { do: 'answer' }, seededRandom());
}

function fn(name: string, properties: JsonObject = {}, required: JsonValue[] = Object.keys(properties)): JsonObject {
  return { type: 'function', name, parameters: { type: 'object', properties, required } };
}

const EXEC = fn('exec_command', { cmd: { type: 'string' }, workdir: { type: 'string' } }, ['cmd']);
const WEATHER = fn('get_weather', { location: { type: 'string' }, unit: { enum: ['c', 'f'] } });

describe('which tool is called', () => {
  test.each<[string, JsonObject, string[]]>([
    ['the one whose words the user used', { input: 'What is the weather in Oslo?', tools: [fn('read_file'), WEATHER] }, ['get_weather']],
    ['a shell before the rest', { input: 'Fix the bug', tools: [fn('view_image'), fn('write_stdin'), EXEC] }, ['exec_command']],
    ['none that changes, asks or spawns', { input: 'Write a file', tools: [fn('write_file'), fn('ask_user'), fn('spawn_agent')] }, []],
    [
      'the named one, whatever it does',
      { input: 'x', tools: [fn('write_file'), EXEC], tool_choice: { type: 'function', name: 'write_file' } },
      ['write_file'],
    ],
    ['some one where one is required', { input: 'x', tools: [fn('write_file')], tool_choice: 'required' }, ['write_file']],
    ['none where none is allowed', { input: 'weather', tools: [WEATHER], tool_choice: 'none' }, []],
    ['two at once when asked', { input: 'Compare both cities in parallel', tools: [WEATHER, fn('get_time')] }, ['get_weather', 'get_time']],
    [
      'one where parallel calls are off',
      { input: 'Do both', tools: [WEATHER, fn('get_time')], parallel_tool_calls: false },
      ['get_weather'],
    ],
    ['a hosted tool never', { input: 'search', tools: [{ type: 'web_search' }] }, []],
  ])('%s', (_what, body, names) => {
    expect(turnFor(body).calls.map(({ name }) => name)).toEqual(names);
  });

  test('arguments are JSON of the schema, with names out of the text', () => {
    const [call] = turnFor({ input: 'What is the weather in New York today?', tools: [WEATHER] }).calls;
    expect(JSON.parse(call?.payload ?? '')).toEqual({ location: 'New York', unit: 'c' });
  });

  test('a command only prints', () => {
    const [call] = turnFor({ input: 'Delete everything: rm -rf /', tools: [EXEC] }).calls;
    expect(JSON.parse(call?.payload ?? '')).toEqual({ cmd: 'echo relay' });
  });

  test("Codex's lite models get their custom exec, out of the tools that ride in the input", () => {
    const tools = [{ type: 'namespace', name: 'functions', tools: [{ type: 'custom', name: 'exec', description: '' }] }];
    const input = [{ type: 'additional_tools', role: 'developer', tools }, { role: 'user', content: 'Fix the bug' }];
    expect(turnFor({ input }).calls).toMatchObject([
      { kind: 'custom', name: 'exec', payload: expect.stringContaining('tools.exec_command({cmd: "echo') },
    ]);
  });

  test('chat tools and their outputs are understood alike', () => {
    const tools = [{ type: 'function', function: { name: 'get_weather', parameters: { type: 'object', properties: {} } } }];
    const messages: JsonObject[] = [{ role: 'user', content: 'weather?' }];
    const first = turnFor({ messages, tools }, 'chat');
    expect(first.calls).toHaveLength(1);
    const id = first.calls[0]?.callId ?? '';
    messages.push({ role: 'assistant', tool_calls: [{ id, type: 'function', function: { name: 'get_weather', arguments: '{}' } }] });
    messages.push({ role: 'tool', tool_call_id: id, content: 'sunny' });
    const second = turnFor({ messages, tools }, 'chat');
    expect(second.calls).toEqual([]);
    expect(second.text).toContain('sunny');
  });

  test('a tool that ends the work is called at its end', () => {
    const tools = [EXEC, fn('attempt_completion', { result: { type: 'string' } })];
    const input = [
      { role: 'user', content: 'go' }, { type: 'function_call', call_id: 'c', name: 'exec_command', arguments: '{}' },
      { type: 'function_call_output', call_id: 'c', output: 'relay' },
    ];
    expect(turnFor({ input: 'go', tools }).calls.map(({ name }) => name)).toEqual(['exec_command']);
    expect(turnFor({ input, tools }).calls.map(({ name }) => name)).toEqual(['attempt_completion']);
  });

  test("Codex's compaction prompt gets a summary, no call", () => {
    const turn = turnFor({ input: 'You are performing a CONTEXT CHECKPOINT COMPACTION. Create a summary.', tools: [EXEC] });
    expect(turn.calls).toEqual([]);
    expect(turn.text).toMatch(/^Summary/);
  });
});

describe('what is said', () => {
  test('images are noticed, in either wire', () => {
    expect(
      turnFor({
        input: [
          {
            role: 'user',
            content: [
              { type: 'input_text', text: 'look' },
              { type: 'input_image', image_url: 'data:' },
            ],
          },
        ],
      }).text,
    ).toContain('an image');
    expect(
      turnFor(
        {
          messages: [
            {
              role: 'user',
              content: [
                { type: 'image_url', image_url: { url: 'data:' } },
                { type: 'image_url', image_url: { url: 'data:' } },
              ],
            },
          ],
        },
        'chat',
      ).text,
    ).toContain('2 images');
  });

  test('a cap on output cuts the text at that many pieces and says so', () => {
    const turn = turnFor({ messages: [{ role: 'user', content: 'hello' }], max_tokens: 3 }, 'chat');
    expect([turn.text, turn.incomplete]).toEqual(['This is the', 'max_output_tokens']);
  });

  test('a stop sequence ends the text before it', () => {
    expect(turnFor({ messages: [{ role: 'user', content: 'hello' }], stop: ['mock'] }, 'chat')).toMatchObject({
      text: 'This is the ',
      incomplete: null,
    });
  });

  test('a reasoning effort makes it reason, none does not', () => {
    expect(turnFor({ input: 'x', reasoning: { effort: 'high' } }).reasoning).not.toBeNull();
    expect(turnFor({ input: 'x', reasoning: { effort: 'none', summary: 'auto' } }).reasoning).toBeNull();
    expect(turnFor({ input: 'x' }).reasoning).toBeNull();
  });

  test('the pieces of any text make the text', () => {
    fc.assert(fc.property(fc.string({ unit: 'grapheme' }), (text) => piecesOf(text).join('') === text));
  });
});

describe('structured output', () => {
  test('is JSON of the schema, on either wire', () => {
    const schema = {
      type: 'object',
      additionalProperties: false,
      required: ['name', 'when', 'tags', 'size', 'next'],
      properties: {
        name: { type: 'string', minLength: 10 },
        when: { type: 'string', format: 'date' },
        tags: { type: 'array', items: { enum: ['a', 'b'] }, minItems: 2 },
        size: { type: 'integer', minimum: 7, multipleOf: 5 },
        next: { anyOf: [{ $ref: '#/$defs/step' }, { type: 'null' }] },
      },
      $defs: { step: { type: 'object', required: ['done'], properties: { done: { type: 'boolean' } } } },
    };
    const expected = { name: expect.stringMatching(/^.{10,}$/), when: '2026-11-21', tags: ['a', 'a'], size: 10, next: { done: true } };
    const responses = turnFor({ input: 'x', text: { format: { type: 'json_schema', name: 'n', schema } } });
    const chat = turnFor(
      { messages: [{ role: 'user', content: 'x' }], response_format: { type: 'json_schema', json_schema: { name: 'n', schema } } },
      'chat',
    );
    expect(JSON.parse(responses.text ?? '')).toEqual(expected);
    expect(JSON.parse(chat.text ?? '')).toEqual(expected);
  });

  test('without a schema it is still an object', () => {
    expect(
      JSON.parse(turnFor({ messages: [{ role: 'user', content: 'json' }], response_format: { type: 'json_object' } }, 'chat').text ?? ''),
    ).toEqual({ answer: 'json' });
  });

  test('a recursive schema ends', () => {
    const node: JsonObject = {
      type: 'object',
      required: ['next', 'list'],
      properties: { next: { anyOf: [{ $ref: '#' }, { type: 'null' }] }, list: { type: 'array', items: { $ref: '#' } } },
    };
    expect(() => JSON.stringify(sampleValue(node))).not.toThrow();
  });

  test('whatever object stands for a schema, there is a value and no exception', () => {
    fc.assert(
      fc.property(
        fc.dictionary(
          fc.constantFrom('type', 'enum', 'anyOf', 'allOf', '$ref', 'items', 'properties', 'required', 'minLength'),
          fc.jsonValue(),
        ),
        (schema) => {
          const parsed: JsonObject = JSON.parse(JSON.stringify(schema));
          expect(sampleValue(parsed)).not.toBeUndefined();
        },
      ),
    );
  });
});
