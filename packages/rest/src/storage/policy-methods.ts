import type { AboutInfo } from '@hypostyle/vim';
import { child, type Element } from './soap-call.ts';

/** A fault of the object model. Its texts are ours alone, nothing that a client sent. */
export interface PolicyFault {
  readonly type: string;
  readonly message: string;
  /** XML of its members. */
  readonly members?: string;
}

interface PolicyMethod {
  /** Answers who is not signed in, too. */
  readonly open?: boolean;
  /** XML of the `returnval` elements. */
  run(call: Element, product: Pick<AboutInfo, 'instanceUuid'>): string | PolicyFault;
}

const managers = [
  ['sessionManager', 'PbmSessionManager', 'SessionManager'],
  ['capabilityMetadataManager', 'PbmCapabilityMetadataManager', 'CapabilityMetadataManager'],
  ['profileManager', 'PbmProfileProfileManager', 'ProfileManager'],
  ['complianceManager', 'PbmComplianceManager', 'complianceManager'],
  ['placementSolver', 'PbmPlacementSolver', 'placementSolver'],
  ['replicationManager', 'PbmReplicationManager', 'ReplicationManager'],
] as const;

/** What is asked about policies where there is none. */
const none: PolicyMethod = { run: () => '' };

/** Methods of the policy service (urn:pbm). Those that would make or apply a policy are not supported. */
export const policyMethods: Readonly<Record<string, PolicyMethod>> = {
  PbmRetrieveServiceContent: {
    open: true,
    run: (_call, { instanceUuid = '' }) => {
      const references = managers.map(([member, type, value]) => `<${member} type="${type}">${value}</${member}>`);
      const about = `<name>PBM</name><version>2.0</version><instanceUuid>${plain(instanceUuid)}</instanceUuid>`;
      return `<returnval><aboutInfo>${about}</aboutInfo>${references.join('')}</returnval>`;
    },
  },
  PbmFetchResourceType: { run: () => '<returnval><resourceType>STORAGE</resourceType></returnval>' },
  PbmQueryProfile: none,
  PbmQueryProfileDetails: none,
  PbmQueryAssociatedProfile: none,
  PbmQueryAssociatedProfiles: none,
  PbmQueryAssociatedEntity: none,
  PbmQueryAssociatedEntities: none,
  PbmQueryDefaultRequirementProfile: none,
  PbmQueryDefaultRequirementProfiles: none,
  PbmFindApplicableDefaultProfile: none,
  PbmFetchCapabilityMetadata: none,
  PbmFetchCapabilitySchema: none,
  PbmFetchVendorInfo: none,
  PbmFetchComplianceResult: none,
  // No identifier is one of a policy.
  PbmRetrieveContent: {
    run: (call) => ({
      type: 'InvalidArgument',
      message:
        child(call, 'profileIds') === undefined
          ? 'A profile identifier is needed.'
          : 'There is no storage policy of that identifier.',
      members: '<invalidProperty>profileIds</invalidProperty>',
    }),
  },
};

function plain(text: string): string {
  return text.replace(/[^0-9A-Za-z-]/g, '');
}
