import type { Envelope } from '../envelope/envelope.ts';
import { contentsOf } from '../envelope/envelope-references.ts';
import { checkContents } from './content-rules.ts';
import { checkHardware } from './hardware-rules.ts';
import type { IssueLog } from './issue-log.ts';
import { checkPackage } from './package-rules.ts';
import { checkProducts } from './product-rules.ts';
import { RuleCheck } from './rule-check.ts';

/** Checks the rules of the text that hold between the values of an envelope. */
export function checkEnvelope(envelope: Envelope, log: IssueLog, fileName: string | undefined): void {
  const check = new RuleCheck(envelope, log, fileName);
  checkPackage(check);
  checkContents(check);
  for (const content of contentsOf(envelope.content)) {
    checkProducts(check, content);
    if (content.kind === 'VirtualSystem') checkHardware(check, content);
  }
}
