import type { Content, Envelope, VirtualSystem } from './envelope.ts';
import type { PlacementGroupSection } from './version2-sections.ts';

/** What a placement policy asks for (DSP0243 2.1 9.15). */
export interface PlacementPolicy {
  /** `affinity`: close together; `availability`: apart. */
  readonly kind: 'affinity' | 'availability';
  /** What they are to share or not: `host` where the policy says no more, `chassis`, `rack`, `site`, `geographic`. */
  readonly scope: 'host' | 'chassis' | 'rack' | 'site' | 'geographic';
}

/** A placement group with the virtual systems in it. */
export interface PlacementGroup {
  readonly section: PlacementGroupSection;
  readonly systems: readonly VirtualSystem[];
}

/** A policy by its name; undefined for one that is not of the standard. */
export function placementPolicy(name: string | undefined): PlacementPolicy | undefined {
  const match = /^(affinity|availability)(?:-(host|chassis|rack|site|geographic))?$/.exec(name?.trim() ?? '');
  if (match === null) return undefined;
  const [, kind, scope = 'host'] = match;
  return { kind, scope } as PlacementPolicy;
}

/** The placement groups of an envelope. What a collection is in all are in that are in it, beside their own. */
export function placementGroups(envelope: Envelope): PlacementGroup[] {
  const members = new Map<string, VirtualSystem[]>();
  const visit = (content: Content, outer: ReadonlySet<string>): void => {
    const groups = new Set([...outer, ...(content.placements ?? []).map(({ group }) => group)]);
    if (content.kind === 'VirtualSystemCollection') for (const child of content.contents) visit(child, groups);
    else for (const group of groups) members.set(group, [...(members.get(group) ?? []), content]);
  };
  visit(envelope.content, new Set());
  return (envelope.placementGroups ?? []).map((section) => ({ section, systems: members.get(section.id) ?? [] }));
}
