import type { Random } from '../core/ports.ts';
import { mockId } from './mock-id.ts';
import { sampleValue } from './sample-value.ts';
import type { AnswerStep, MockCall } from './steps.ts';
import type { OfferedTool, Task } from './task.ts';

/** One call of a tool the mock makes. */
export interface TurnCall {
  readonly kind: 'function' | 'custom';
  readonly name: string;
  readonly namespace: string | null;
  readonly callId: string;
  readonly payload: string;
}

/** What the mock answers, before it is written in a wire's words. */
export interface Turn {
  readonly reasoning: string | null;
  readonly text: string | null;
  readonly calls: readonly TurnCall[];
  readonly incomplete: 'max_output_tokens' | 'content_filter' | null;
  readonly compaction: boolean;
}

/** Tools that change something, ask the person or start another agent: never called unless the client insists. */
const NOT_HARMLESS = new RegExp(
  'write|edit|delete|remove|patch|apply|move|kill|create|update|install|send|post|commit|push|replace|insert|stdin|'
  + 'ask|question|user_input|agent|spawn|task|plan|goal|switch|mode',
  'i',
);
const SHELL = /^(?:exec_command|shell|bash|local_shell|execute_command|run_commands?|run_terminal_cmd|terminal|run_shell_command)$/i;
const FINISHING = /^(?:attempt_completion|finish|done|complete|final_answer|submit)$/i;
const CHECKPOINT = /^You are performing a CONTEXT CHECKPOINT COMPACTION/;

/** Decides what to answer a task with; a step's own words go before the mock's. */
export function chooseTurn(task: Task, step: AnswerStep, random: Random): Turn {
  const calls = (step.calls?.map((call) => scripted(call, random)) ?? (step.text === undefined ? chooseCalls(task, random) : []));
  const text = step.text ?? (calls.length > 0 ? null : sentenceFor(task));
  const limited = limitText(text, task);
  return {
    reasoning: step.reasoning ?? reasoningFor(task),
    text: limited.text,
    calls,
    incomplete: step.incomplete ?? (limited.cut ? 'max_output_tokens' : null),
    compaction: task.compaction && step.text === undefined,
  };
}

function scripted(call: MockCall, random: Random): TurnCall {
  return {
    kind: call.kind ?? 'function',
    name: call.name,
    namespace: call.namespace ?? null,
    callId: call.callId ?? mockId('call_', random),
    payload: call.payload,
  };
}

/** Calls when tools are offered and none has answered yet; after their outputs only where the client insists. */
function chooseCalls(task: Task, random: Random): readonly TurnCall[] {
  if (task.tools.length === 0 || task.choice === 'none' || task.compaction || CHECKPOINT.test(task.userText)) return [];
  const tools = chooseTools(task);
  return tools.map((tool) => ({
    kind: tool.kind, name: tool.name, namespace: tool.namespace, callId: mockId('call_', random), payload: payloadFor(tool, task),
  }));
}

function chooseTools(task: Task): readonly OfferedTool[] {
  const { tools, choice, userText, toolOutputs } = task;
  if (typeof choice === 'object') return tools.filter(({ name }) => name === choice.name).slice(0, 1);
  const finishing = tools.find(({ name }) => FINISHING.test(name));
  if (toolOutputs.length > 0) return finishing === undefined ? (choice === 'required' ? tools.slice(0, 1) : []) : [finishing];
  const harmless = tools.filter(
    (tool) => tool.name === 'exec' || SHELL.test(tool.name) || (!NOT_HARMLESS.test(tool.name) && tool !== finishing),
  );
  const ranked = rank(harmless, userText);
  if (ranked.length === 0) return choice === 'required' ? tools.slice(0, 1) : [];
  const wanted = task.parallel && /\b(?:parallel|both|at the same time)\b/i.test(userText) ? 2 : 1;
  const [first] = ranked;
  return first !== undefined && ranked.length < wanted ? [first, first] : ranked.slice(0, wanted);
}

/** Best first: tools whose words the user used, then a shell (it only prints), then the order they were offered in. */
function rank(tools: readonly OfferedTool[], userText: string): readonly OfferedTool[] {
  const words = new Set(wordsOf(userText));
  const worth = (tool: OfferedTool): number =>
    2 * wordsOf(tool.name).filter((word) => words.has(word)).length + (tool.name === 'exec' || SHELL.test(tool.name) ? 1 : 0);
  return tools
    .map((tool, index) => ({ tool, index, worth: worth(tool) }))
    .sort((a, b) => b.worth - a.worth || a.index - b.index)
    .map(({ tool }) => tool);
}

function wordsOf(text: string): readonly string[] {
  return text.replaceAll(/(\p{Ll})(\p{Lu})/gu, '$1 $2').toLowerCase().split(/[^\p{L}\p{N}]+/u).filter((word) => word.length > 2);
}

function payloadFor(tool: OfferedTool, task: Task): string {
  if (tool.kind === 'function') return JSON.stringify(sampleValue({ type: 'object', ...tool.parameters }, task.userText));
  // Codex in code mode (0.169, observed 2026-11): the input of `exec` is JavaScript, and only `text` is told to the model.
  if (tool.name === 'exec') return 'const said = await tools.exec_command({cmd: "echo relay"}); text(said.output ?? said);';
  return task.userText.slice(0, 200) || 'relay';
}

function sentenceFor(task: Task): string {
  if (task.format !== null)
    return JSON.stringify(
      task.format.schema === null ? { answer: excerpt(task.userText) } : sampleValue(task.format.schema, task.userText),
    );
  const images = task.images === 0 ? '' : ` I was shown ${task.images === 1 ? 'an image' : `${task.images} images`}.`;
  const output = task.toolOutputs.at(-1);
  if (CHECKPOINT.test(task.userText))
    return 'Summary so far: the user tries Relay with its mock upstream, and everything asked for was done.';
  if (output !== undefined) return `The tool said: ${ending(output)}. That answers: ${excerpt(task.userText)}`;
  return `This is the mock upstream, answering: ${excerpt(task.userText)}.${images}`;
}

function excerpt(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ').trim();
  return line.length > 160 ? `${line.slice(0, 159)}…` : line || 'nothing';
}

/** The last of a tool's output: shells put their own remarks first. */
function ending(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ').trim();
  return line.length > 160 ? `…${line.slice(-159)}` : line || 'nothing';
}

function reasoningFor(task: Task): string | null {
  if (task.effort === 'none' || (task.effort === null && !task.wantsSummary && !task.wantsCiphertext)) return null;
  return `The user wants: ${excerpt(task.userText)}`;
}

/** Obeys stop sequences and the cap on output, a piece counting as a token. */
function limitText(text: string | null, { stop, maxOutputTokens }: Task): { readonly text: string | null; readonly cut: boolean } {
  if (text === null) return { text, cut: false };
  const end = Math.min(
    ...stop
      .filter((sequence) => sequence !== '')
      .map((sequence) => text.indexOf(sequence))
      .filter((index) => index >= 0),
    text.length,
  );
  const pieces = piecesOf(text.slice(0, end));
  const cap = maxOutputTokens ?? Number.POSITIVE_INFINITY;
  return pieces.length <= cap ? { text: text.slice(0, end), cut: false } : { text: pieces.slice(0, cap).join(''), cut: true };
}

/** A text in the pieces it is streamed in: words with the space before them. */
export function piecesOf(text: string): readonly string[] {
  return text.match(/\s*\S+\s*$|\s*\S+|\s+$/gu) ?? [];
}
