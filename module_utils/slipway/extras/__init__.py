# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Files of a release besides those of its deployments: manifests, licences, kernels, and what a site makes itself."""
