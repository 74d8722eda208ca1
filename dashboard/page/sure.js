// What cannot be taken back is asked for first, on its button: a second press within a few seconds does it.

import { attr } from './dom.js';

const SURE = 4e3; // ms in which the second press has to come

// doubts asks on a button. write labels the button, and usual is its label while nothing is asked.
export function doubts(button, write, usual) {
  let asked = 0;
  function calm() {
    clearTimeout(asked);
    asked = 0;
    attr(button, 'data-sure', null);
    write(usual());
  }
  return {
    // sure tells whether the question has been asked before; else it asks.
    sure(question) {
      if (asked) { calm(); return true; }
      asked = setTimeout(calm, SURE);
      attr(button, 'data-sure', 'true');
      write(question);
      return false;
    },
    // render labels the button as usual, unless it asks what is still to be asked.
    render(doubtful) { if (!asked || !doubtful) calm(); },
  };
}
