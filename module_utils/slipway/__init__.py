"""Slipway's logic: plain values in and out, no Ansible."""
