import { SaxesParser } from 'saxes';

/** An element of a request, by local name. */
export interface Element {
  readonly name: string;
  readonly text: string;
  readonly children: readonly Element[];
}

/** A call: the first element of the body; and what the header names. */
export interface SoapCall {
  readonly method: Element;
  readonly header: Element | undefined;
}

interface OpenElement {
  readonly name: string;
  text: string;
  readonly children: OpenElement[];
}

/** What no honest request comes near. */
const deepest = 32;
const mostElements = 20_000;

/** The call of a SOAP 1.1 request; undefined when it is none. Refuses DOCTYPE, so that no entity is ever expanded. */
export function parseSoapCall(text: string): SoapCall | undefined {
  try {
    const envelope = parse(text);
    if (envelope?.name !== 'Envelope') return undefined;
    const method = child(envelope, 'Body')?.children[0];
    return method === undefined ? undefined : { method, header: child(envelope, 'Header') };
  } catch {
    return undefined;
  }
}

export function child(element: Element | undefined, name: string): Element | undefined {
  return element?.children.find((each) => each.name === name);
}

function parse(text: string): Element | undefined {
  const root: OpenElement = { name: '', text: '', children: [] };
  const stack = [root];
  let count = 0;
  const parser = new SaxesParser({ position: false });
  const refuse = (reason: string) => () => {
    throw new Error(reason);
  };
  parser.on('error', (error) => {
    throw error;
  });
  parser.on('doctype', refuse('a DOCTYPE'));
  parser.on('processinginstruction', refuse('a processing instruction'));
  parser.on('opentag', ({ name }) => {
    count += 1;
    if (stack.length > deepest || count > mostElements) throw new Error('too much');
    const element: OpenElement = { name: name.slice(name.indexOf(':') + 1), text: '', children: [] };
    stack.at(-1)?.children.push(element);
    stack.push(element);
  });
  parser.on('closetag', () => {
    stack.pop();
  });
  const take = (characters: string) => {
    const top = stack.at(-1);
    if (top !== undefined) top.text += characters;
  };
  parser.on('text', take);
  parser.on('cdata', take);
  parser.write(text).close();
  return root.children[0];
}
