import type { DataTypes } from '../../generated/types.ts';
import type { ManagedObjectReference } from '../../schema/values.ts';
import { type ActionRules, type PlannedAction, planActions } from './alarm-actions.ts';
import { CompiledExpression } from './alarm-expression.ts';
import { invalidAlarmName, invalidSpec } from './errors.ts';

export type AlarmInfo = DataTypes['AlarmInfo'];
export type AlarmSpec = DataTypes['AlarmSpec'];
type CustomFieldValue = DataTypes['CustomFieldValue'];

/** An alarm, as it is defined on an entity for it and what lies below. */
export interface AlarmDefinition {
  readonly ref: ManagedObjectReference<'Alarm'>;
  readonly info: AlarmInfo;
  readonly expression: CompiledExpression;
  readonly actions: readonly PlannedAction[];
  readonly customValues: readonly CustomFieldValue[];
}

const longestName = 80;
const longestDescription = 4_096;

/** Reads a spec. Fails with InvalidName, InvalidArgument, and as `planActions` does. */
export function compileSpec(
  spec: AlarmSpec,
  rules: Omit<ActionRules, 'targets'>,
): Pick<AlarmDefinition, 'expression' | 'actions'> {
  if (spec.name.trim() === '' || spec.name.length > longestName) throw invalidAlarmName(spec.name);
  if (spec.description.length > longestDescription) throw invalidSpec('description', 'The description is too long.');
  const { toleranceRange = 0, reportingFrequency = 0 } = spec.setting ?? {};
  if (toleranceRange < 0) throw invalidSpec('setting.toleranceRange', 'A tolerance is not negative.');
  if (reportingFrequency < 0) throw invalidSpec('setting.reportingFrequency', 'A frequency is not negative.');
  if ((spec.actionFrequency ?? 0) < 0) throw invalidSpec('actionFrequency', 'A frequency is not negative.');
  const expression = new CompiledExpression(rules.schema, spec.expression);
  const targets = expression.targets(rules.entity.type);
  return { expression, actions: planActions(spec.action, { ...rules, targets }) };
}

/** The members of a spec alone: clients send an AlarmInfo back as a spec. */
export function plainSpec(spec: AlarmSpec): AlarmSpec {
  const { name, systemName, description, enabled, expression, action, actionFrequency, setting } = spec;
  return {
    name,
    ...(systemName ? { systemName } : {}),
    description,
    enabled,
    expression,
    ...(action === undefined ? {} : { action }),
    ...(actionFrequency === undefined ? {} : { actionFrequency }),
    ...(setting === undefined ? {} : { setting }),
  };
}
