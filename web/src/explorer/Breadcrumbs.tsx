import { Anchor } from '@mantine/core';
import { IconChevronRight } from '@tabler/icons-react';
import { useEffect, useRef } from 'react';
import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';
import classes from './Breadcrumbs.module.css';
import { ancestors, folderAddress } from './path';

/** Where the reader is, each folder above a link. A long way scrolls within itself and shows its end. */
export function Breadcrumbs({ path }: { path: string }) {
  const { t } = useTranslation();
  const ref = useRef<HTMLOListElement>(null);
  useEffect(() => {
    ref.current?.scrollTo({ left: ref.current.scrollWidth });
  }, [path]);
  const folders = ancestors(path);
  return (
    <nav aria-label={t('explorer.breadcrumbs')}>
      <ol ref={ref} className={classes.list}>
        {folders.map((folder, at) => {
          const name = folder.name || t('explorer.root');
          return (
            <li key={folder.path} className={classes.item}>
              {at > 0 && <IconChevronRight size={16} className={classes.separator} aria-hidden />}
              {at === folders.length - 1 ? (
                <h1 className={classes.current} aria-current="page" title={name}>
                  {name}
                </h1>
              ) : (
                <Anchor component={Link} to={folderAddress(folder.path)} className={classes.link ?? ''} title={name}>
                  {name}
                </Anchor>
              )}
            </li>
          );
        })}
      </ol>
    </nav>
  );
}
