package user

import (
	"context"

	"gorm.io/gorm"

	"github.com/livil/gopan/internal/db"
	"github.com/livil/gopan/internal/errs"
)

// group is a row of user_groups: people who are meant together, as where something is shared.
type group struct {
	ID        int64 `gorm:"primaryKey;autoIncrement:false"`
	Name      string
	CreatedAt int64
}

// TableName implements gorm's Tabler.
func (group) TableName() string { return "user_groups" }

// membership is who is in which group.
type membership struct {
	GroupID, ID       int64
	Login, Name, Role string
}

// groups lists all groups by name, and their members by login.
func (s *Service) groups(ctx context.Context) (list []group, members map[int64][]account, err error) {
	members = make(map[int64][]account)
	err = s.DB.Read(ctx, func(tx *gorm.DB) error {
		if err := tx.Raw("SELECT * FROM user_groups ORDER BY name").Scan(&list).Error; err != nil {
			return err
		}
		var rows []membership
		err := tx.Raw("SELECT m.group_id, u.id, u.login, u.name, u.role FROM user_group_members m JOIN users u ON u.id = m.user_id ORDER BY u.login").
			Scan(&rows).Error
		for _, m := range rows {
			members[m.GroupID] = append(members[m.GroupID], account{ID: m.ID, Login: m.Login, Name: m.Name, Role: m.Role})
		}
		return err
	})
	return list, members, errs.Wrap("user.groups", err)
}

// inGroup says in the audit log which group.
func inGroup(id int64) string { return "group " + decimal(id) }

func groupExists(op errs.Op, cause error) error {
	return errs.E(errs.Exists, op, errs.Code("group_exists"), errs.Field("name"), cause)
}

func (s *Service) createGroup(ctx context.Context, name string) (group, error) {
	const op = errs.Op("user.createGroup")
	id, err := s.newID(ctx)
	if err != nil {
		return group{}, errs.Wrap(op, err)
	}
	g := group{ID: id, Name: name, CreatedAt: s.now().UnixMilli()}
	err = s.recorded(ctx, "group.create", 0, inGroup(id)+" "+name, func(tx *gorm.DB) error { return tx.Create(&g).Error })
	if db.Taken(err) {
		err = groupExists(op, err)
	}
	return g, errs.Wrap(op, err)
}

func (s *Service) renameGroup(ctx context.Context, id int64, name string) error {
	const op = errs.Op("user.renameGroup")
	err := s.recorded(ctx, "group.rename", 0, inGroup(id)+" "+name, func(tx *gorm.DB) error {
		var n int64
		if err := tx.Raw("SELECT count(*) FROM user_groups WHERE id = ?", id).Scan(&n).Error; err != nil || n == 0 {
			return notThere(op, err)
		}
		return tx.Exec("UPDATE user_groups SET name = ? WHERE id = ?", name, id).Error
	})
	if db.Taken(err) {
		err = groupExists(op, err)
	}
	return errs.Wrap(op, err)
}

func (s *Service) deleteGroup(ctx context.Context, id int64) error {
	const op = errs.Op("user.deleteGroup")
	return errs.Wrap(op, s.recorded(ctx, "group.delete", 0, inGroup(id), func(tx *gorm.DB) error {
		if err := tx.Exec("DELETE FROM user_group_members WHERE group_id = ?", id).Error; err != nil {
			return err
		}
		return touched(op, tx.Exec("DELETE FROM user_groups WHERE id = ?", id))
	}))
}

// addMember puts an account into a group; one that is there already stays.
func (s *Service) addMember(ctx context.Context, id, user int64) error {
	const op = errs.Op("user.addMember")
	return errs.Wrap(op, s.recorded(ctx, "group.add", user, inGroup(id), func(tx *gorm.DB) error {
		var n int64
		err := tx.Raw("SELECT (SELECT count(*) FROM user_groups WHERE id = ?) * (SELECT count(*) FROM users WHERE id = ?)", id, user).Scan(&n).Error
		if err != nil || n == 0 {
			return notThere(op, err)
		}
		if err := tx.Exec("DELETE FROM user_group_members WHERE group_id = ? AND user_id = ?", id, user).Error; err != nil {
			return err
		}
		return tx.Exec("INSERT INTO user_group_members (group_id, user_id) VALUES (?, ?)", id, user).Error
	}))
}

func (s *Service) removeMember(ctx context.Context, id, user int64) error {
	const op = errs.Op("user.removeMember")
	return errs.Wrap(op, s.recorded(ctx, "group.remove", user, inGroup(id), func(tx *gorm.DB) error {
		return touched(op, tx.Exec("DELETE FROM user_group_members WHERE group_id = ? AND user_id = ?", id, user))
	}))
}
