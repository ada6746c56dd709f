// Put into the site's search script by Sphinx (html_search_scorer).

// Sphinx's own weights; and who pastes an error's message wants the page on errors first.
var Scorer = {
  score: (result) => {
    const [page, , , , score] = result;
    return page === "troubleshooting" ? score + 30 : score;
  },
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};

// A pasted message names a scope, a key, a class of the reader's own: no page has these words, and
// the search finds only pages that have all words.
const withoutNames = (query) => {
  const left = query
    .replace(/\([^)]*\)/g, " ")
    .replace(/(^|\s)'[^']*'|"[^"]*"/g, " ")
    .replace(/\S*[\/\\@]\S*/g, " ")
    .replace(/\d+(\.\d+)?/g, " ");
  return left.trim() === "" ? query : left;
};

// Sphinx loads this after its search, and starts that when the page is ready.
const performSearch = Search.performSearch;
Search.performSearch = (query) => performSearch(withoutNames(query));
