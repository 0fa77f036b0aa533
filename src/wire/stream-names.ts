import type { HostedTool } from './hosted-tools.ts';
import type { AnswerPlan, CustomTool } from './prepared-request.ts';

/** A tool as the client declared it, by the name it was sent upstream under. */
export function clientTool(plan: AnswerPlan, sent: string): { readonly name: string; readonly namespace: string | null } {
  return ownMember(plan.toolNames, sent) ?? { name: sent, namespace: null };
}

/** The client's own id of a call, where it had to be shortened for the upstream. */
export function clientCallId(plan: AnswerPlan, sent: string): string {
  return ownMember(plan.callIds, sent) ?? sent;
}

/** How the client declared the custom tool of this name; undefined for any other tool. */
export function customTool(plan: AnswerPlan, sent: string): CustomTool | undefined {
  return ownMember(plan.customTools, sent);
}

/** The hosted tool behind the function of this name; undefined for any other tool. */
export function hostedTool(plan: AnswerPlan, sent: string): HostedTool | undefined {
  return ownMember(plan.hostedTools, sent);
}

/** A model may call a tool `constructor`: only what the plan itself says counts. */
function ownMember<T>(members: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(members, key) ? members[key] : undefined;
}
