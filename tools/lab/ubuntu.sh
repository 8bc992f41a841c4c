# Run in an image of Debian testing: it gets the shape of Ubuntu 26.04 where the two differ.
set -eu
ln -sf /usr/lib/cargo/bin/coreutils/* /usr/lib/cargo/bin/sudo /usr/bin/
ln -sf /usr/lib/cargo/bin/visudo /usr/sbin/
systemctl disable ssh.service
systemctl enable ssh.socket systemd-resolved
ln -sf ../run/systemd/resolve/stub-resolv.conf /etc/resolv.conf
echo 'PasswordAuthentication yes' > /etc/ssh/sshd_config.d/50-cloud-init.conf
# Ubuntu's own restarts without a question.
echo "\$nrconf{restart} = 'a';" > /etc/needrestart/conf.d/50-ubuntu.conf
