import { Menu } from '@mantine/core';
import { Fragment, type Ref } from 'react';
import { useTranslation } from 'react-i18next';
import type { Node } from '../api/client';
import { actionsFor, nodeActions, type NodeAction } from './nodeActions';

/** Where a menu opens, and for what. */
export interface MenuPlace {
  nodes: readonly Node[];
  label: string;
  x: number;
  y: number;
  /** Who gets the focus back. */
  opener: HTMLElement;
}

interface NodeMenuProps {
  place: MenuPlace;
  onClose: () => void;
  onAction: (action: NodeAction, nodes: readonly Node[]) => void;
}

/** One menu for all rows: it opens at the pointer or below the row's button. */
export function NodeMenu({ place, onClose, onAction }: NodeMenuProps) {
  const { t } = useTranslation();
  const close = () => {
    place.opener.focus({ preventScroll: true });
    onClose();
  };
  return (
    <Menu
      opened
      onChange={(opened) => {
        if (!opened) close();
      }}
      position="bottom-end"
      width={200}
      offset={4}
      returnFocus={false}
      closeOnItemClick={false}
    >
      <Menu.Target>
        <Spot x={place.x} y={place.y} />
      </Menu.Target>
      <Menu.Dropdown aria-label={t('explorer.actionsFor', { name: place.label })}>
        {actionsFor(place.nodes).map((action) => {
          const { icon: Icon, label } = nodeActions[action];
          return (
            <Fragment key={action}>
              {action === 'trash' && <Menu.Divider />}
              <Menu.Item
                leftSection={<Icon size={18} stroke={1.7} />}
                {...(action === 'trash' && { c: 'var(--mantine-color-error)' })}
                onClick={() => {
                  close();
                  onAction(action, place.nodes);
                }}
              >
                {t(label)}
              </Menu.Item>
            </Fragment>
          );
        })}
      </Menu.Dropdown>
    </Menu>
  );
}

/**
 * The point that the menu hangs on. It takes the reference and none of the attributes for a button: the row's
 * own button carries those.
 */
function Spot({ x, y, ref }: { x: number; y: number; ref?: Ref<HTMLSpanElement> }) {
  return <span ref={ref} style={{ position: 'fixed', left: x, top: y }} />;
}
