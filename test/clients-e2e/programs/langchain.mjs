// A user's program on LangChain: node langchain.mjs (responses|chat) (whole|stream|tools|object) PROMPT
// Relay's address and key come from the environment; what happened goes to stdout as JSON.
import { HumanMessage, SystemMessage, ToolMessage } from '@langchain/core/messages';
import { tool } from '@langchain/core/tools';
import { ChatOpenAI } from '@langchain/openai';
import { z } from 'zod';

const [, , endpoint, task, prompt] = process.argv;
const { OPENAI_BASE_URL: baseURL, OPENAI_API_KEY: apiKey, MODEL: model, MAX_RETRIES: maxRetries = '0' } = process.env;

const chat = new ChatOpenAI({
  model, apiKey, maxRetries: Number(maxRetries), configuration: { baseURL }, useResponsesApi: endpoint === 'responses',
});
const opening = [new SystemMessage('Be brief.'), new HumanMessage(prompt)];
const asked = [];
const weather = tool(({ city }) => {
  asked.push(city);
  return '21 degrees';
}, { name: 'weather', description: 'Tells the weather of a city.', schema: z.object({ city: z.string() }) });

const readStream = async (runnable, messages) => {
  let whole;
  for await (const chunk of await runnable.stream(messages)) whole = whole === undefined ? chunk : whole.concat(chunk);
  return whole;
};

const tasks = {
  async whole() {
    const answer = await chat.invoke(opening);
    return { text: answer.text, tokens: answer.usage_metadata?.total_tokens };
  },
  async stream() {
    let text = '';
    try {
      let tokens = 0;
      for await (const chunk of await chat.stream(opening)) {
        text += chunk.text;
        tokens += chunk.usage_metadata?.total_tokens ?? 0;
      }
      return { text, errors: [], tokens };
    } catch (error) {
      return { text, errors: [String(error.message)] };
    }
  },
  async tools() {
    const bound = chat.bindTools([weather]);
    const messages = [...opening];
    for (let round = 1; round <= 5; round += 1) {
      const answer = await readStream(bound, messages);
      messages.push(answer);
      if ((answer.tool_calls ?? []).length === 0) return { text: answer.text, asked, steps: round };
      for (const call of answer.tool_calls) {
        messages.push(new ToolMessage({ tool_call_id: call.id, content: await weather.invoke(call.args) }));
      }
    }
    return { errors: ['the tool loop did not end'] };
  },
  async object() {
    return { object: await chat.withStructuredOutput(z.object({ ok: z.boolean(), why: z.string() }), { name: 'verdict' }).invoke(opening) };
  },
};

const outcome = await tasks[task]().catch((error) => ({ errors: [String(error.message)], status: error.status ?? null }));
process.stdout.write(`${JSON.stringify(outcome)}\n`);
