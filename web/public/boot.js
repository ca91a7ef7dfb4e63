// Runs before the first paint, so that neither the colours nor the language flash. It is a file of its own
// because the Content-Security-Policy allows no inline script. The keys are those of src/app/theme.ts and
// src/i18n/language.ts.
(function () {
  var root = document.documentElement;
  var read = function (key) {
    try {
      return window.localStorage.getItem(key);
    } catch (e) {
      return null;
    }
  };
  var scheme = read('gopan-color-scheme');
  if (scheme !== 'light' && scheme !== 'dark') {
    scheme = window.matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light';
  }
  root.setAttribute('data-mantine-color-scheme', scheme);
  var language = read('gopan-language') || navigator.language || 'en';
  root.lang = language.toLowerCase().indexOf('zh') === 0 ? 'zh-CN' : 'en';
})();
