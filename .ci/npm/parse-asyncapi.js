// Reads an AsyncAPI document from standard input with the official parser. Prints the errors and warnings that it
// has, and exits with 1 if there are any.
const { Parser } = require('@asyncapi/parser')
const text = require('fs').readFileSync(0, 'utf8')

new Parser().parse(text).then(({ document, diagnostics: all }) => {
  const diagnostics = all.filter(d => d.severity <= 1)
  for (const d of diagnostics) console.log(`${d.range.start.line + 1}: ${d.code}: ${d.message} (${d.path.join('.')})`)
  if (document) console.log(`${document.allChannels().length} channels, ${document.allMessages().length} messages`)
  process.exit(document && diagnostics.length === 0 ? 0 : 1)
})
