// A user's program on the AI SDK: node ai-sdk.mjs (responses|chat|compatible) (whole|stream|tools|object) PROMPT
// Relay's address and key come from the environment; what happened goes to stdout as JSON.
import { createOpenAI } from '@ai-sdk/openai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { generateObject, generateText, stepCountIs, streamText, tool } from 'ai';
import { z } from 'zod';

const [, , endpoint, task, prompt] = process.argv;
const { OPENAI_BASE_URL: baseURL, OPENAI_API_KEY: apiKey, MODEL: id, MAX_RETRIES: maxRetries = '0' } = process.env;

const openai = createOpenAI({ baseURL, apiKey });
const models = {
  responses: () => openai(id),
  chat: () => openai.chat(id),
  compatible: () => createOpenAICompatible({ name: 'relay', baseURL, apiKey, includeUsage: true, supportsStructuredOutputs: true })(id),
};
const model = models[endpoint]();
const common = { model, prompt, system: 'Be brief.', maxRetries: Number(maxRetries), onError: () => {} };
const asked = [];
const weather = tool({
  description: 'Tells the weather of a city.',
  inputSchema: z.object({ city: z.string() }),
  execute: ({ city }) => {
    asked.push(city);
    return '21 degrees';
  },
});

const tasks = {
  async whole() {
    const { text, finishReason, usage } = await generateText(common);
    return { text, finishReason, tokens: usage.totalTokens };
  },
  async stream(more = {}) {
    const errors = [];
    let text = '';
    try {
      const result = streamText({ ...common, ...more });
      for await (const part of result.fullStream) {
        if (part.type === 'text-delta') text += part.text;
        if (part.type === 'error') errors.push(String(part.error?.message ?? part.error));
      }
      if (errors.length > 0) return { text, errors };
      const [finishReason, usage, steps] = await Promise.all([result.finishReason, result.totalUsage, result.steps]);
      return { text, errors, finishReason, tokens: usage.totalTokens, steps: steps.length };
    } catch (error) {
      return { text, errors: [...errors, String(error.message)] };
    }
  },
  async tools() {
    return { ...(await tasks.stream({ tools: { weather }, stopWhen: stepCountIs(5) })), asked };
  },
  async object() {
    const { object } = await generateObject({ ...common, schema: z.object({ ok: z.boolean(), why: z.string() }) });
    return { object };
  },
};

const outcome = await tasks[task]().catch((error) => ({ errors: [String(error.message)], status: error.statusCode ?? null }));
process.stdout.write(`${JSON.stringify(outcome)}\n`);
