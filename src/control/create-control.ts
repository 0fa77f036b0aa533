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
  // Looked at here too: a command with no daemon running has no socket in between.
  return { call: async (method, params) => handlers[method](checked(method, params)) };
}

/** Takes a message as it came over the socket: checks the method and its parameters, then acts. */
export async function handleControlMessage(control: Control, method: string, params: unknown): Promise<unknown> {
  if (!isControlMethod(method)) throw new ControlError('invalid', `There is no control method "${method.slice(0, 60)}".`);
  return call(control, method, params);
}

function call<M extends ControlMethod>(control: Control, method: M, params: unknown): Promise<ControlResult<M>> {
  return control.call(method, checked(method, params));
}

/** The parameters, or a ControlError that names the field. */
function checked<M extends ControlMethod>(method: M, params: unknown): ControlParams<M> {
  try {
    return parseControlParams(method, params);
  } catch (error) {
    throw new ControlError('invalid', error instanceof Error ? error.message : 'invalid parameters');
  }
}
