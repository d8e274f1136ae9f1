import type { DataTypes } from '../../generated/types.ts';
import { noPermission } from '../../runtime/dispatcher.ts';
import { argumentPrivileges } from '../../runtime/privileges.ts';
import { isData } from '../../schema/data.ts';
import type { Method, Schema } from '../../schema/schema.ts';
import type { ManagedObjectReference } from '../../schema/values.ts';
import { actionNotSupported, invalidSpec } from './errors.ts';
import type { Status } from './status.ts';

type AlarmAction = DataTypes['AlarmAction'];

interface Transition {
  readonly from: Status;
  readonly to: Status;
  readonly repeats: boolean;
}

/** A method that an alarm calls on the entity that triggers it. */
export interface PlannedAction {
  readonly method: Method;
  readonly args: Readonly<Record<string, unknown>>;
  readonly transitions: readonly Transition[];
}

export interface ActionRules {
  readonly schema: Schema;
  /** Types of the objects that the action may be run on. */
  readonly targets: readonly string[];
  /** Entity of the alarm: whoever sets the action up could call the method there. */
  readonly entity: ManagedObjectReference;
  readonly holds: (object: ManagedObjectReference, privilege: string) => boolean;
}

const mostActions = 32;
const acceptable = new Set(['green yellow', 'green red', 'yellow red', 'red yellow', 'red green', 'yellow green']);

/**
 * Reads an alarm's actions. Fails with InvalidArgument; with NotSupported for mail, traps, scripts, and methods whose
 * privilege the object model does not name; with NoPermission where the user could not call the method.
 */
export function planActions(action: AlarmAction | undefined, rules: ActionRules): PlannedAction[] {
  if (action === undefined) return [];
  if (isData('GroupAlarmAction', action)) {
    const planned: PlannedAction[] = [];
    for (const member of action.action) {
      // One level, as clients make it, bounds what there is to read.
      if (isData('GroupAlarmAction', member)) throw invalidSpec('action', 'A group of actions has no groups in it.');
      planned.push(...planActions(member, rules));
      if (planned.length > mostActions) throw invalidSpec('action', `An alarm has ${mostActions} actions at most.`);
    }
    return planned;
  }
  if (!isData('AlarmTriggeringAction', action)) throw invalidSpec('action', 'This kind of alarm action is not known.');
  const transitions = transitionsOf(action);
  const { action: what } = action;
  if (isData('MethodAction', what)) return [{ ...plannedCall(what, rules), transitions }];
  if (isData('SendEmailAction', what)) throw actionNotSupported('send mail');
  if (isData('SendSNMPAction', what)) throw actionNotSupported('send traps');
  if (isData('RunScriptAction', what)) throw actionNotSupported('run scripts');
  throw actionNotSupported('do this');
}

/** The transition that an action runs at; undefined when it does not. A gray alarm counts as green. */
export function matchingTransition(action: PlannedAction, from: Status, to: Status): Transition | undefined {
  const [start, final] = [from === 'gray' ? 'green' : from, to === 'gray' ? 'green' : to];
  if (start === final) return undefined;
  const direct = action.transitions.find((each) => each.from === start && each.to === final);
  if (direct !== undefined || start === 'yellow' || final === 'yellow') return direct;
  // From green to red and back leads past yellow.
  return action.transitions.find(
    (each) => (each.from === start && each.to === 'yellow') || (each.from === 'yellow' && each.to === final),
  );
}

function transitionsOf(action: DataTypes['AlarmTriggeringAction']): Transition[] {
  const transitions: Transition[] = (action.transitionSpecs ?? []).map(({ startState, finalState, repeats }) => {
    if (!acceptable.has(`${startState} ${finalState}`)) {
      throw invalidSpec('action.transitionSpecs', `An alarm does not go from ${startState} to ${finalState}.`);
    }
    return { from: startState, to: finalState, repeats };
  });
  const add = (from: Status, to: Status) => {
    if (!transitions.some((each) => each.from === from && each.to === to))
      transitions.push({ from, to, repeats: false });
  };
  if (action.green2yellow) add('green', 'yellow');
  if (action.yellow2red) add('yellow', 'red');
  if (action.red2yellow) add('red', 'yellow');
  if (action.yellow2green) add('yellow', 'green');
  if (transitions.length === 0) throw invalidSpec('action.transitionSpecs', 'An alarm action has a transition.');
  if (transitions.length > acceptable.size) throw invalidSpec('action.transitionSpecs', 'A transition is named twice.');
  return transitions;
}

function plannedCall({ name, argument = [] }: DataTypes['MethodAction'], rules: ActionRules) {
  const { schema, targets, entity, holds } = rules;
  const methods = targets.map((type) => schema.managed(type)?.methods.get(name));
  const method = methods[0];
  if (method === undefined || methods.includes(undefined)) {
    throw invalidSpec('action.name', `What the alarm is for has no method ${name.slice(0, 200)}.`);
  }
  // The alarm calls it as the system: only what one privilege covers can be allowed beforehand.
  const privilege = method.privilege;
  if (privilege === undefined || privilege.startsWith('System.')) throw actionNotSupported(`call ${name}`);
  for (const each of privilege.split(' ')) if (!holds(entity, each)) throw noPermission(entity, each);
  if (argument.length > method.parameters.length) throw invalidSpec('action.argument', `${name} has fewer parameters.`);
  const args: Record<string, unknown> = {};
  for (const [index, parameter] of method.parameters.entries()) {
    const value = argument[index]?.value;
    if (value === undefined || value === null) {
      if (!parameter.optional) throw invalidSpec('action.argument', `${name} needs ${parameter.name}.`);
      continue;
    }
    if (!isArgument(schema, parameter.type, value)) {
      throw invalidSpec('action.argument', `${parameter.name} is no ${parameter.type.name}.`);
    }
    args[parameter.name] = value;
    if (!isReference(value)) continue;
    const needed = argumentPrivileges[name]?.[parameter.name];
    // What an argument may be used for is checked within the method, for the user of the call.
    if (needed === undefined) throw actionNotSupported(`call ${name} with ${parameter.name}`);
    if (!holds(value, needed)) throw noPermission(value, needed);
  }
  return { method, args };
}

function isArgument(schema: Schema, { name, array }: Method['parameters'][number]['type'], value: unknown): boolean {
  if (array) return false;
  if (isReference(value)) return schema.managed(name) !== undefined && schema.isSubtype(value.type, name);
  const type = schema.type(name);
  if (type?.kind === 'enum') return typeof value === 'string' && type.values.has(value);
  if (type !== undefined) return false;
  if (name === 'boolean') return typeof value === 'boolean';
  if (name === 'int' || name === 'short' || name === 'byte') return Number.isInteger(value);
  return name === 'string' && typeof value === 'string';
}

function isReference(value: unknown): value is ManagedObjectReference {
  return typeof value === 'object' && value !== null && 'type' in value && 'value' in value;
}
