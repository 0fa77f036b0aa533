import type { ControlMethod, ControlParams } from '../core/control-messages.ts';
import { isControlMethod, parseControlParams } from '../core/control-messages.ts';
import type { AccountDeps } from './accounts.ts';
import { accountHandlers } from './accounts.ts';
import { budgetHandlers } from './budgets.ts';
import type { ClientDeps } from './clients.ts';
import { clientHandlers } from './clients.ts';
import type { Control, ControlHandlers, ControlResult } from './control.ts';
import { ControlError } from './control.ts';

/** Everything else a control answers, bound by whoever has it: the daemon, or a command on its own. */
export type ControlReads = Omit<
  ControlHandlers, keyof ReturnType<typeof accountHandlers> | keyof ReturnType<typeof clientHandlers> | keyof ReturnType<typeof budgetHandlers>
>;

/** A control over this process's own state. */
export function createControl(deps: AccountDeps & ClientDeps, reads: ControlReads): Control {
  const handlers: ControlHandlers = { ...reads, ...accountHandlers(deps), ...clientHandlers(deps), ...budgetHandlers(deps) };
  return { call: (method, params) => handlers[method](params) };
}

/** Takes a message as it came over the socket: checks the method and its parameters, then acts. */
export async function handleControlMessage(control: Control, method: string, params: unknown): Promise<unknown> {
  if (!isControlMethod(method)) throw new ControlError('invalid', `There is no control method "${method.slice(0, 60)}".`);
  return call(control, method, params);
}

function call<M extends ControlMethod>(control: Control, method: M, params: unknown): Promise<ControlResult<M>> {
  let parsed: ControlParams<M>;
  try {
    parsed = parseControlParams(method, params);
  } catch (error) {
    throw new ControlError('invalid', error instanceof Error ? error.message : 'invalid parameters');
  }
  return control.call(method, parsed);
}
