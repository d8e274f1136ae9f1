import { endpoints, type Outcome, type TestClient } from './case.ts';

/** A table of clients and endpoints: passed of all, or a dash where a client is not made for an endpoint. */
export function tableOf(outcomes: readonly Outcome[], clients: readonly TestClient[]): string {
  const cell = (found: readonly Outcome[]) =>
    found.length === 0 ? '–' : `${found.filter(({ passed }) => passed).length} of ${found.length}`;
  const rows = clients.map((client) => {
    const own = outcomes.filter((outcome) => outcome.client === client.name);
    if (client.missing !== undefined) return [client.name, client.missing];
    return [client.name, ...endpoints.map((each) => cell(own.filter(({ endpoint }) => endpoint === each)))];
  });
  const all = [
    ['client', ...endpoints],
    ...rows,
    ['all', ...endpoints.map((each) => cell(outcomes.filter(({ endpoint }) => endpoint === each)))],
  ];
  const widths = [0, 1, 2].map((column) =>
    Math.max(...all.map((row) => (row.length > 2 ? (row[column] ?? '').length : 0))),
  );
  return all
    .map((row) =>
      row
        .map((text, column) => text.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** A failure as a person reads it. */
export function failureText(outcome: Outcome): string {
  const { client, endpoint, command = '', said = '', expected = '' } = outcome;
  const indented = (text: string) => text.replaceAll('\n', '\n      ');
  return [
    `${client} at a ${endpoint}: ${outcome.case}`,
    `  command:  ${indented(command)}`,
    `  said:     ${indented(said)}`,
    `  expected: ${indented(expected)}`,
  ].join('\n');
}
