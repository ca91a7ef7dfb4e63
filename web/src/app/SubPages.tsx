import { Title } from '@mantine/core';
import { NavLink, Outlet } from 'react-router';
import classes from './SubPages.module.css';

interface SubPagesProps {
  title: string;
  pages: readonly { to: string; label: string }[];
}

/** Pages of one kind with the way from one to the other above them. */
export function SubPages({ title, pages }: SubPagesProps) {
  return (
    <div className={classes.root}>
      <header className={classes.head}>
        <Title order={1} className={classes.title}>
          {title}
        </Title>
        <nav aria-label={title} className={classes.tabs}>
          {pages.map(({ to, label }) => (
            <NavLink key={to} to={to} end className={classes.tab ?? ''}>
              {label}
            </NavLink>
          ))}
        </nav>
      </header>
      <div className={classes.content}>
        <Outlet />
      </div>
    </div>
  );
}
