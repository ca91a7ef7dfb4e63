import {
  IconBook2,
  IconDatabase,
  IconDisc,
  IconFile,
  IconFileCode,
  IconFileText,
  IconFileTypePdf,
  IconFileZip,
  IconMovie,
  IconMusic,
  IconPhoto,
  IconPresentation,
  IconSettings,
  IconTable,
  IconTypography,
  IconVector,
  type Icon,
} from '@tabler/icons-react';

export interface FileKind {
  icon: Icon;
  /** A Mantine colour. */
  color: string;
}

const other: FileKind = { icon: IconFile, color: 'gray' };

const kinds: [FileKind, string][] = [
  [
    { icon: IconPhoto, color: 'grape' },
    'png jpg jpeg gif webp avif heic heif bmp tif tiff raw cr2 cr3 nef arw dng ico',
  ],
  [{ icon: IconVector, color: 'pink' }, 'svg ai eps sketch fig psd xd'],
  [{ icon: IconMovie, color: 'red' }, 'mp4 mov mkv webm avi m4v wmv flv mpg mpeg ts 3gp'],
  [{ icon: IconMusic, color: 'orange' }, 'mp3 flac wav aac ogg opus m4a wma aiff mid midi'],
  [{ icon: IconFileTypePdf, color: 'red' }, 'pdf'],
  [{ icon: IconFileText, color: 'blue' }, 'doc docx odt rtf pages txt md markdown tex log wps'],
  [{ icon: IconTable, color: 'green' }, 'xls xlsx ods csv tsv numbers et'],
  [{ icon: IconPresentation, color: 'yellow' }, 'ppt pptx odp key dps'],
  [{ icon: IconFileZip, color: 'brown' }, 'zip tar gz tgz bz2 xz zst 7z rar lz4 jar'],
  [{ icon: IconDisc, color: 'gray' }, 'iso img dmg vmdk qcow2 vdi'],
  [{ icon: IconBook2, color: 'teal' }, 'epub mobi azw3 fb2'],
  [{ icon: IconTypography, color: 'violet' }, 'ttf otf woff woff2'],
  [{ icon: IconDatabase, color: 'cyan' }, 'db sqlite sqlite3 sql parquet'],
  [{ icon: IconSettings, color: 'gray' }, 'yaml yml toml ini conf cfg env lock'],
  [
    { icon: IconFileCode, color: 'indigo' },
    'go js jsx tsx mjs py rb rs java kt swift c h cc cpp hpp cs php sh bash zsh ps1 lua r html htm css scss json xml vue dart scala proto',
  ],
];

const byExtension = new Map(
  kinds.flatMap(([kind, list]) => list.split(' ').map((extension) => [extension, kind] as const)),
);

/** How a file's name looks: an icon and a colour by its extension. */
export function fileKind(name: string): FileKind {
  const dot = name.lastIndexOf('.');
  return (dot > 0 ? byExtension.get(name.slice(dot + 1).toLowerCase()) : undefined) ?? other;
}
