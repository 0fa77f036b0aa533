// Chat Completions through Relay with the openai SDK:  OPENAI_API_KEY=sk-relay-… node examples/chat.mjs
import OpenAI from 'openai';

const client = new OpenAI({ baseURL: process.env.OPENAI_BASE_URL ?? 'http://127.0.0.1:7352/v1' });
const stream = await client.chat.completions.create({
  model: process.env.MODEL ?? 'relay-mini',
  messages: [{ role: 'user', content: 'Say hello' }],
  stream: true,
});
for await (const chunk of stream) process.stdout.write(chunk.choices[0]?.delta?.content ?? '');
process.stdout.write('\n');
