// Numbers as they are typed. A browser's own field for numbers drops what it does not understand, and makes 125 of 12,5;
// so these are fields for text, and what is in one is read as a whole or not at all.

const NUMBERS = {
  angle: { pattern: /^-?\d*\.?\d+$/, is: 'An angle is a number such as 12.5' },
  speed: { pattern: /^-?\d+$/, is: 'A speed is a whole number such as 50' },
  every: { pattern: /^0*[1-9]\d*$/, is: 'Say every how many seconds (a whole number from 1 on)' },
};

// typed returns {value} of what is in an input, else {fault}: in words, and what would be right. Whether it is in range,
// the device says.
export function typed(input) {
  const { pattern, is } = NUMBERS[input.name];
  const words = input.value.trim();
  const value = Number(words);
  if (pattern.test(words) && Number.isFinite(value)) return { value };
  return { fault: words ? `${is}, not “${words}”` : is };
}
