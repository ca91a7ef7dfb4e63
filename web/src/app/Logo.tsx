/** The mark: a G whose bar points inwards, with a drop above it. Decoration beside the name, hence hidden. */
export function Logo({ size = 32 }: { size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 32 32" aria-hidden focusable="false">
      <rect width="32" height="32" rx="9" fill="#1b6f78" />
      <path
        d="M22.6 13.2A7.3 7.3 0 1 0 23.3 18h-6.5"
        fill="none"
        stroke="#fff"
        strokeWidth="3.2"
        strokeLinecap="round"
        strokeLinejoin="round"
      />
      <circle cx="24.4" cy="8.2" r="2.4" fill="#8fe3d6" />
    </svg>
  );
}
