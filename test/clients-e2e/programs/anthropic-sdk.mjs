// A user's program on Anthropic's SDK: node anthropic-sdk.mjs (whole|stream|tools|thinking|stop|count|models|object) PROMPT
// Relay's address and key come from the environment; what happened goes to stdout as JSON.
import Anthropic from '@anthropic-ai/sdk';

const [, , task, prompt] = process.argv;
const { ANTHROPIC_BASE_URL: baseURL, ANTHROPIC_API_KEY: apiKey, MODEL: model, MAX_RETRIES: maxRetries = '0' } = process.env;

const client = new Anthropic({ baseURL, apiKey, authToken: null, maxRetries: Number(maxRetries) });
const opening = { model, max_tokens: 500, system: 'Be brief.', messages: [{ role: 'user', content: prompt }] };
const weather = {
  name: 'weather', description: 'Tells the weather of a city.',
  input_schema: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
};
const textOf = ({ content }) => content.filter(({ type }) => type === 'text').map(({ text }) => text).join('');

/** Streams with the SDK's own helper: what came piece by piece, and the message it makes of the pieces. */
async function streamed(request) {
  let text = '';
  const types = [];
  try {
    const stream = client.messages.stream(request);
    stream.on('text', (piece) => (text += piece));
    stream.on('streamEvent', ({ type }) => types.push(type));
    const message = await stream.finalMessage();
    return { text, message, types, requestId: stream.request_id };
  } catch (error) {
    return { text, error: String(error.message), name: error.constructor.name, status: error.status ?? null, type: error.type ?? null };
  }
}

const tasks = {
  async whole() {
    const { data, request_id: requestId } = await client.messages.create(opening).withResponse();
    return { text: textOf(data), stop: data.stop_reason, usage: data.usage, requestId };
  },
  async stream() {
    const { message, ...told } = await streamed(opening);
    return message ? { ...told, whole: textOf(message), stop: message.stop_reason, usage: message.usage } : told;
  },
  async tools() {
    const asked = [];
    const messages = [...opening.messages];
    for (let step = 1; step <= 5; step++) {
      const { message, error } = await streamed({ ...opening, messages, tools: [weather], thinking: { type: 'adaptive' } });
      if (error) return { error, asked };
      messages.push({ role: 'assistant', content: message.content });
      if (message.stop_reason !== 'tool_use') return { text: textOf(message), asked, steps: step };
      const calls = message.content.filter(({ type }) => type === 'tool_use');
      asked.push(...calls.map(({ input }) => input.city));
      messages.push({ role: 'user', content: calls.map(({ id }) => ({ type: 'tool_result', tool_use_id: id, content: '21 degrees' })) });
    }
    return { error: 'it never ended', asked };
  },
  async thinking() {
    const { message, types } = await streamed({ ...opening, thinking: { type: 'adaptive', display: 'summarized' }, output_config: { effort: 'high' } });
    return { blocks: message.content, types };
  },
  async stop() {
    const { message } = await streamed({ ...opening, stop_sequences: ['END'] });
    return { text: textOf(message), stop: message.stop_reason, sequence: message.stop_sequence };
  },
  async count() {
    return client.messages.countTokens({ model, messages: opening.messages });
  },
  async models() {
    const ids = [];
    for await (const { id } of client.models.list({ limit: 1 })) ids.push(id);
    return { ids, one: await client.models.retrieve(ids[0]) };
  },
  async object() {
    const schema = { type: 'object', properties: { ok: { type: 'boolean' } }, required: ['ok'], additionalProperties: false };
    const message = await client.messages.create({ ...opening, output_config: { format: { type: 'json_schema', schema } } });
    return { object: JSON.parse(textOf(message)) };
  },
};

const outcome = await tasks[task]().catch((error) => ({
  error: String(error.message), name: error.constructor.name, status: error.status ?? null, type: error.type ?? null, requestId: error.requestID ?? null,
}));
process.stdout.write(`${JSON.stringify(outcome)}\n`);
