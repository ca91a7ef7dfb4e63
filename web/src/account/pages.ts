// The pages that are loaded together, when the first of them is asked for.
export { AccountPages } from './AccountPages';
export { ActivityPage } from './ActivityPage';
export { DataPage } from './DataPage';
export { KeysPage } from './KeysPage';
export { ProfilePage } from './ProfilePage';
export { RegisterPage } from './RegisterPage';
export { SecurityPage } from './SecurityPage';
export { SessionsPage } from './SessionsPage';
export { WelcomePage } from './WelcomePage';
