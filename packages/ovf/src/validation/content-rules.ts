import type { Content, VirtualSystemCollection } from '../envelope/envelope.ts';
import { contentsOf } from '../envelope/envelope-references.ts';
import { countRange } from '../envelope/scale-out.ts';
import type { ScaleOutSection } from '../envelope/version2-sections.ts';
import type { RuleCheck } from './rule-check.ts';

const startActions: ReadonlySet<string> = new Set(['powerOn', 'none']);
const stopActions: ReadonlySet<string> = new Set(['powerOff', 'guestShutdown', 'none']);

/** Rules of virtual systems and collections: their ids, and what the sections beside the hardware refer to. */
export function checkContents(check: RuleCheck): void {
  const contents = [...contentsOf(check.envelope.content)];
  const groups = new Set((check.envelope.placementGroups ?? []).map(({ id }) => id));
  const seen = new Set<string>();
  for (const content of contents) {
    if (seen.has(content.id)) {
      check.report('content-id-unique', `the id "${content.id}" is there twice`, content.kind, content.line);
    }
    seen.add(content.id);
    for (const { group, line } of content.placements ?? []) {
      if (groups.has(group)) continue;
      const detail = `${content.id} is in the placement group "${group}", which does not exist`;
      check.report('placement-group-known', detail, 'PlacementSection', line);
    }
    for (const { fileId, line } of content.environmentFiles?.files ?? []) {
      if (check.files.has(fileId)) continue;
      const detail = `the environment has the file "${fileId}", which is not in References`;
      check.report('environment-file', detail, 'EnvironmentFilesSection', line);
    }
    if (content.kind === 'VirtualSystemCollection') checkCollection(check, content);
    else checkBootDevices(check, content);
  }
}

function checkCollection(check: RuleCheck, collection: VirtualSystemCollection): void {
  const children = new Set<string>();
  for (const child of collection.contents) {
    if (children.has(child.id)) {
      const detail = `the collection ${collection.id} has "${child.id}" twice`;
      check.report('child-id-unique', detail, child.kind, child.line);
    }
    children.add(child.id);
  }
  const started = collection.startup?.items ?? [];
  for (const { id, startAction, stopAction, line } of started) {
    for (const [name, action, known] of [
      ['startAction', startAction, startActions],
      ['stopAction', stopAction, stopActions],
    ] as const) {
      if (action === undefined || known.has(action)) continue;
      check.report('startup-action', `the ${name} "${action}" of ${id} is unknown`, 'StartupSection', line);
    }
    if (children.has(id)) continue;
    const detail = `the startup item refers to "${id}", which is not in the collection`;
    check.report('startup-child', detail, 'StartupSection', line);
  }
  check.unique('startup-once', 'StartupSection', started, ({ id }) => id, 'startup item of');
  for (const section of collection.scaleOut ?? []) checkScaleOut(check, section, children);
  const scaled = collection.scaleOut ?? [];
  check.unique('scale-out-once', 'ScaleOutSection', scaled, ({ id }) => id, 'scale-out of');
}

function checkScaleOut(check: RuleCheck, section: ScaleOutSection, children: ReadonlySet<string>): void {
  const { id, optionCounts = [], line } = section;
  if (!children.has(id)) {
    const detail = `the content "${id}" that scales out is not in the collection`;
    check.report('scale-out-child', detail, 'ScaleOutSection', line);
  }
  const seen = new Set<string>();
  for (const configuration of optionCounts.flatMap(({ configurations }) => configurations)) {
    const known = check.configurations.has(configuration);
    const detail = known
      ? `the instances of "${id}" are given twice for the configuration "${configuration}"`
      : `the instances of "${id}" are given for the configuration "${configuration}", which does not exist`;
    if (!known) check.report('configuration-known', detail, 'ScaleOutSection', line);
    else if (seen.has(configuration)) check.report('scale-out-once', detail, 'ScaleOutSection', line);
    seen.add(configuration);
  }
  for (const count of [section, ...optionCounts]) {
    const { minimum: least, default: usual, maximum } = countRange(count);
    if (least <= usual && usual <= maximum) continue;
    const most = Number.isFinite(maximum) ? maximum : 'any number';
    const detail = `the instances of "${id}" are not in order: at least ${least}, ${usual}, at most ${most}`;
    check.report('scale-out-count', detail, 'ScaleOutSection', line);
  }
}

function checkBootDevices(check: RuleCheck, content: Extract<Content, { readonly kind: 'VirtualSystem' }>): void {
  const instances = new Set(content.hardware.flatMap(({ items }) => items.map(({ instanceId }) => instanceId)));
  const sources = (content.bootDevices?.configurations ?? []).flatMap((configuration) => configuration.sources);
  for (const { instanceId, line } of [...sources, ...(content.bootOrder ?? [])]) {
    if (instanceId === undefined || instances.has(instanceId)) continue;
    const detail = `${content.id} boots from the item with InstanceID ${instanceId}, which does not exist`;
    check.report('boot-device', detail, content.bootDevices ? 'BootDeviceSection' : 'BootOrderSection', line);
  }
}
