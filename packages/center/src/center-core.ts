import type { CenterBase } from './center-base.ts';
import type { HostLinks } from './hosts/connection/host-links.ts';

/** What the parts of a center share. Made once, by `Center.open`. */
export interface CenterCore extends CenterBase {
  readonly hosts: HostLinks;
}
