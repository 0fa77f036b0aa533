// The Responses API through Relay with the openai SDK:  OPENAI_API_KEY=sk-relay-… node examples/responses.mjs
import OpenAI from 'openai';

const client = new OpenAI({ baseURL: process.env.OPENAI_BASE_URL ?? 'http://127.0.0.1:7352/v1' });
const answer = await client.responses.create({ model: process.env.MODEL ?? 'relay-mini', input: 'Say hello' });
console.log(answer.output_text);
